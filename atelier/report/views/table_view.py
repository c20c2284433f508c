"""Rows of a table: pair plots, histograms and correlation matrices."""

import numpy as np

from atelier.data.spec import Spec
from atelier.log import counted
from atelier.report import figures
from atelier.report.views import drawing, value_view
from atelier.report.views.gaps import num_gaps, with_gaps
from atelier.report.views.heat_tables import column, ranked, rows
from atelier.report.views.view import DATA, Density, Labels, Picture, Sets, View

MAX_PAIRED = 5  # columns of a pair plot
MAX_HISTOGRAMS = 9
MAX_CORRELATED = 40  # columns of a correlation matrix
MAX_POINTS = 1000  # of a set in a pair plot


@figures.style()
def samples(
    sets: Sets,
    spec: Spec,
    title: str,
    labels: Labels | None = None,
    density: Density | None = None,
) -> Picture:
    """Returns a pair plot of up to five columns, else histograms of those that differ most.

    Correlation matrices of up to three sets stand beside a pair plot, or below histograms.
    """
    del density  # which has more axes than a figure
    title = drawing.noting_classes(title, labels)
    if spec.num_dims <= MAX_PAIRED:
        return _pair_plot(sets, spec, title, labels)
    return _histograms(sets, spec, title, labels)


def _pair_plot(sets: Sets, spec: Spec, title: str, labels: Labels | None) -> Picture:
    from matplotlib.figure import Figure  # slow import

    d, matrices = spec.num_dims, [*sets][:3]
    side = max(1.45 * d, 2.2 * len(matrices))
    figure = Figure(figsize=(side + 2.6, side + 0.8), layout='constrained')
    left, right = figure.subfigures(1, 2, width_ratios=(side, 2.6))
    parts, (low, high) = [*drawing.all_parts(sets, spec, labels)], drawing.frame(sets)
    axes = left.subplots(d, d, squeeze=False)
    for i in range(d):
        for j in range(d):
            if j > i:
                axes[i, j].remove()
            elif i == j:
                _histogram(axes[i, j], parts, i, low, high, spec)
            else:
                _scatter(axes[i, j], parts, i, j)
                axes[i, j].set(xlim=(low[j], high[j]), ylim=(low[i], high[i]))
            if j <= i:
                _name_axes(axes[i, j], i, j, d, spec)
    left.legend(*axes[0, 0].get_legend_handles_labels(), loc='upper right')
    for axis, which in zip(np.ravel(right.subplots(len(matrices), 1)), matrices, strict=True):
        _matrix(axis, sets[which], spec, drawing.name(which))
    figure.suptitle(drawing.title_of(title, side + 2))
    return figures.pixels(figure)


def _histogram(axis, parts, column: int, low, high, spec: Spec) -> None:
    values = parts[0].x[:, column]
    edges = drawing.bin_edges(values, low[column], high[column], spec.levels is not None)
    drawing.histogram(axis, parts, edges, column)
    axis.set(xlim=(low[column], high[column]), yticks=[])
    axis.spines['left'].set_visible(False)
    if spec.levels is not None:
        axis.xaxis.get_major_locator().set_params(integer=True)


def _scatter(axis, parts, i: int, j: int) -> None:
    """Draws the points of all parts; those of small ones are larger, and above the others."""
    for part in sorted(parts, key=lambda part: -len(part.x)):
        x = part.x[:MAX_POINTS]
        size = float(np.clip(2000 / max(1, len(x)), 3, 12))
        axis.scatter(x[:, j], x[:, i], s=size, color=part.colour, linewidths=0, alpha=0.7)


def _name_axes(axis, i: int, j: int, d: int, spec: Spec) -> None:
    """Names the axes at the left and at the bottom; the others have no ticks."""
    # two or three numbers; without steps of 25, which give 0.125, as wide as a third of the axis
    axis.locator_params(axis='x', nbins=2, steps=[1, 2, 4, 5, 10])
    axis.locator_params(axis='y', nbins=3)
    name = lambda index: drawing.wrapped(column(spec, index), 14)
    if i == d - 1:
        axis.set_xlabel(name(j))
    else:
        axis.set_xticklabels([])
    if j == 0 and i > 0:
        axis.set_ylabel(name(i))
    elif i != j:
        axis.set_yticklabels([])


def _matrix(axis, x: np.ndarray, spec: Spec, title: str):
    """Draws the correlation matrix of a set; up to five columns have numbers in its cells."""
    matrix = correlations(drawing.rows_of(x))
    d = len(matrix)
    image = axis.imshow(matrix, cmap=figures.DIVERGING, vmin=-1, vmax=1)
    if d <= MAX_PAIRED:
        for i, j in np.ndindex(d, d):
            colour = 'white' if abs(matrix[i, j]) > 0.6 else 'black'
            text = '' if np.isnan(matrix[i, j]) else f'{matrix[i, j]:.1f}'.replace('-0.0', '0.0')
            axis.text(j, i, text, ha='center', va='center', color=colour, fontsize=8)
        names = [drawing.wrapped(column(spec, i), 12) for i in range(d)]
        axis.set_yticks(range(d), names, fontsize=8)
        axis.set_xticks([])
    else:
        axis.set(xticks=[], yticks=[], xlabel=counted(d, 'column'))
    if np.isnan(matrix).all():
        has_rows = len(x) - num_gaps(x) > 1
        why = 'columns of\none value' if has_rows else 'fewer than two\nfinite rows'
        place = dict(ha='center', va='center', fontsize=8, transform=axis.transAxes)
        axis.text(0.5, 0.5, f'undefined:\n{why}', **place)
    axis.set_title(f'correlations,\n{title}')
    return image


def correlations(x: np.ndarray) -> np.ndarray:
    """Returns the correlation matrix of rows [n, columns]; nan for columns with one value."""
    x = x[np.isfinite(x).all(1)]
    with np.errstate(invalid='ignore', divide='ignore'):
        return np.atleast_2d(np.corrcoef(x, rowvar=False)) if len(x) > 1 else _unknown(x.shape[1])


def _unknown(d: int) -> np.ndarray:
    return np.full((d, d), np.nan)


def _histograms(sets: Sets, spec: Spec, title: str, labels: Labels | None) -> Picture:
    shown, why = most_different(sets)
    matrices = [*sets][:2] if spec.num_dims <= MAX_CORRELATED else []
    num_cells = 3 * -(-len(shown) // 3)
    figure, axes = figures.panels(num_cells + 3 * bool(matrices), size=(3.3, 2.4))
    parts, (low, high) = [*drawing.all_parts(sets, spec, labels)], drawing.frame(sets)
    for axis, i in zip(axes, shown, strict=False):
        _histogram(axis, parts, i, low, high, spec)
        axis.set_xlabel(drawing.name(column(spec, i)))
        axis.locator_params(axis='x', nbins=4)
    for unused in axes[len(shown) :]:
        unused.set_axis_off()
    for axis, which in zip(axes[num_cells:], matrices, strict=False):
        axis.set_axis_on()
        image = _matrix(axis, sets[which], spec, drawing.name(which))
    if matrices:
        place = dict(ax=axes[num_cells + len(matrices)], location='left', fraction=0.4)
        figure.colorbar(image, ticks=[-1, 0, 1], label='correlation', **place)
    if len(shown) < spec.num_dims:
        title = f'{title}: {why} of {spec.num_dims:,}'
    figure.suptitle(drawing.title_of(title, 9.9))
    drawing.legend(figure, axes[0])
    return figures.pixels(figure)


def most_different(sets: Sets) -> tuple[list[int], str]:
    """Returns the columns of a figure, and what they are: where the second set differs most.

    The difference is that of Kolmogorov and Smirnov, between the data and the first other set; with
    one set, the columns are the first ones.
    """
    others, d = (
        [each for each in sets if each != DATA],
        len(drawing.rows_of(next(iter(sets.values())))[0]),
    )
    n = min(d, MAX_HISTOGRAMS)
    if DATA not in sets or not others:
        return [*range(n)], f'the first {n} columns'
    data, other = drawing.rows_of(sets[DATA]), drawing.rows_of(sets[others[0]])
    distances = [kolmogorov_smirnov(data[:, i], other[:, i]) for i in range(d)]
    shown = np.argsort(-np.asarray(distances), kind='stable')[:n]
    most = f'the {n} columns that differ most'
    return (sorted(shown.tolist()) if n == d else shown.tolist()), most


def kolmogorov_smirnov(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the largest difference of the distribution functions of two samples [n] and [m]."""
    both = np.concatenate([a, b])
    below = [np.searchsorted(np.sort(x), both, 'right') / len(x) for x in (a, b)]
    return float(np.abs(below[0] - below[1]).max())


@figures.style()
def pairs(x: np.ndarray, reconstruction: np.ndarray, spec: Spec, title: str) -> Picture:
    """Returns a panel a column: reconstructions against values; of many, the worst columns."""
    x, y = drawing.rows_of(x), drawing.rows_of(reconstruction)
    n = min(spec.num_dims, MAX_HISTOGRAMS)
    worst = np.argsort(-relative_errors(x, y), kind='stable')[:n].tolist()
    figure, axes = figures.panels(n, size=(2.9, 2.7))
    for axis, i in zip(axes, sorted(worst) if n == spec.num_dims else worst, strict=True):
        value_view.draw_against(axis, x[:, i], y[:, i])
        axis.set_xlabel(drawing.name(column(spec, i)))
    figure.supylabel('reconstruction')
    if n < spec.num_dims:
        title = f'{title}: the {n} columns of {spec.num_dims:,} with the largest errors'
    figure.suptitle(drawing.title_of(title, 2.9 * min(n, 3)))
    return figures.pixels(figure)


def relative_errors(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns the mean squared error of each column [columns], relative to its variance.

    It is infinite if a value is not finite.
    """
    with np.errstate(invalid='ignore'):  # of infinities
        errors = ((x - y) ** 2).mean(0) / np.maximum(x.var(0), 1e-12)
    return np.where(np.isnan(errors), np.inf, errors)


TABLES = with_gaps(View('tables', 'examples', False, True, samples, pairs, rows, ranked))
