"""Single values: histograms, with the model's density and the components of a mixture."""

import numpy as np

from atelier.data.spec import Spec
from atelier.report import figures
from atelier.report.views import drawing
from atelier.report.views.gaps import with_gaps
from atelier.report.views.view import DATA, Density, Labels, Names, Picture, Sets, View

SIZE = (6.8, 4.4)  # of a figure, in inches
MAX_NAMED = 6  # components with names
MAX_LINES = 200  # rows in a figure


@figures.style()
def samples(
    sets: Sets,
    spec: Spec,
    title: str,
    labels: Labels | None = None,
    density: Density | None = None,
) -> Picture:
    """Returns histograms of all sets, with the density and its weighted components over them."""
    figure, (axis,) = figures.panels(1, size=SIZE)
    parts = [*drawing.all_parts(sets, spec, labels)]
    (low,), (high,) = drawing.frame(sets)
    if spec.levels is not None:
        low, high = max(low, -0.5), min(high, spec.levels - 0.5)
    values = drawing.rows_of(drawing.reference(sets))[:, 0]
    edges = drawing.bin_edges(values, low, high, spec.levels is not None)
    drawing.histogram(axis, parts, edges)
    if density is not None:
        _draw_density(axis, density, spec)
    axis.set(xlim=(low, high), xlabel=_axis_name(spec), ylabel=_height_name(spec))
    axis.set_ylim(bottom=0)
    axis.set_title(drawing.title_of(drawing.noting_classes(title, labels), SIZE[0]))
    drawing.legend(figure, axis, columns=3)
    return figures.pixels(figure)


def _draw_density(axis, density: Density, spec: Spec) -> None:
    (x,) = density.axes
    marks = dict(marker='o', markersize=4, linestyle='none') if spec.levels is not None else {}
    named = density.components if len(density.components) <= MAX_NAMED else {}
    # many components of levels, which have marks and no lines, would hide p(x)
    drawn = {} if marks and not named else density.components
    for i, p in enumerate(drawn.values()):
        which = f'{len(density.components)} components, weighted' if not named and not i else ''
        colour = figures.colour(i + 1) if named else 'black'
        style = dict(color=colour, linewidth=1.6 if named else 0.7, linestyle='--')
        label = drawing.name([*named][i]) if named else which
        axis.plot(x, p, **{**style, **marks}, **({'label': label} if label else {}))
    axis.plot(x, density.p, color='black', linewidth=1.8, label=f'p(x), {density.kind}', **marks)


def _axis_name(spec: Spec) -> str:
    return drawing.name(spec.column_names[0]) if spec.column_names else 'x'


def _height_name(spec: Spec) -> str:
    return 'density' if spec.levels is None else 'probability'


@figures.style()
def pairs(x: np.ndarray, reconstruction: np.ndarray, spec: Spec, title: str) -> Picture:
    """Returns reconstructions against originals; those on the diagonal are equal."""
    figure, (axis,) = figures.panels(1, size=(4.6, 4.6))
    x, y = drawing.rows_of(x)[:, 0], drawing.rows_of(reconstruction)[:, 0]
    draw_against(axis, x, y)
    axis.set(xlabel=_axis_name(spec), ylabel='reconstruction')
    figure.suptitle(drawing.title_of(title, 4.6))
    return figures.pixels(figure)


def draw_against(axis, x: np.ndarray, y: np.ndarray) -> None:
    """Draws values y against values x, and the diagonal on which they are equal."""
    ends = np.array([x.min(), x.max()])
    axis.plot(ends, ends, color=figures.DATA_COLOUR, linewidth=1, zorder=0)
    axis.plot(x, y, '.', color=figures.colour(0), markersize=4, alpha=0.7)
    axis.locator_params(nbins=4)


@figures.style()
def rows(
    x: np.ndarray,
    spec: Spec,
    title: str,
    row_names: Names,
    column_names: Names,
    among: np.ndarray | None = None,
    across: str = '',
) -> Picture:
    """Returns a line per row: its values over its columns; beside it, the histogram of the data."""
    figure = _lines_and_histogram()
    axis, side = figure.subplots(1, 2, sharey=True, width_ratios=(4, 1))
    kinds = [*dict.fromkeys(row_names)]
    values = np.asarray(x, np.float64).reshape(len(x), x.shape[1], -1)[..., 0]
    for row, row_name in zip(values[:MAX_LINES], row_names, strict=False):
        axis.plot(row, color=figures.colour(kinds.index(row_name)), linewidth=1, alpha=0.7)
    ticks = np.unique(np.linspace(0, len(column_names) - 1, 6).round().astype(int))
    axis.set_xticks(ticks, [drawing.name(column_names[i], 10) for i in ticks])
    axis.set(xlabel=drawing.name(across, drawing.MAX_ACROSS), ylabel=_axis_name(spec))
    _draw_side(side, values[:, -1] if among is None else drawing.rows_of(among)[:, 0], among)
    for i, kind in enumerate(kinds):
        axis.plot([], color=figures.colour(i), label=drawing.name(kind))
    title = drawing.of_first(title, MAX_LINES, len(x))
    figure.suptitle(drawing.title_of(title, SIZE[0]))
    if any(kinds):
        drawing.legend(figure, axis)
    return figures.pixels(figure)


def _lines_and_histogram():
    from matplotlib.figure import Figure  # slow import

    return Figure(figsize=SIZE, layout='constrained')


def _draw_side(axis, values: np.ndarray, among: np.ndarray | None) -> None:
    finite = values[np.isfinite(values)]
    axis.hist(finite, 30, orientation='horizontal', color=figures.DATA_COLOUR, alpha=0.45)
    axis.set(xticks=[], xlabel='last values' if among is None else 'data')


@figures.style()
def ranked(
    x: np.ndarray, captions: Names, spec: Spec, title: str, among: np.ndarray | None = None
) -> Picture:
    """Returns the histogram of the data, with a mark at each example; captions are not drawn."""
    del captions  # marks that are close would hide them
    figure, (axis,) = figures.panels(1, size=SIZE)
    marked = drawing.rows_of(x)[:, 0]
    data = marked if among is None else drawing.rows_of(among)[:, 0]
    data, marked = (x[np.isfinite(x)] for x in (data, marked))
    both = np.concatenate([data, marked])
    low, high = (both.min(), both.max()) if len(both) else (0.0, 1.0)
    margin = drawing.MARGIN * max(high - low, 1.0)
    edges = drawing.bin_edges(data, low, high + (low == high), spec.levels is not None)
    drawing.histogram(axis, [drawing.Part(DATA, data[:, None], figures.DATA_COLOUR)], edges)
    height = 0.04 * axis.get_ylim()[1]
    axis.vlines(marked, -height, 2 * height, color=figures.colour(3), label='these examples')
    axis.set(xlim=(low - margin, high + margin), xlabel=_axis_name(spec))
    axis.set_ylabel(_height_name(spec))
    figure.suptitle(drawing.title_of(title, SIZE[0]))
    drawing.legend(figure, axis)
    return figures.pixels(figure)


VALUES = with_gaps(View('values', 'examples', False, True, samples, pairs, rows, ranked))
