"""Rows of a table as cells, coloured by the distance from the mean of their column."""

import numpy as np

from atelier.data.spec import Spec
from atelier.report import figures
from atelier.report.views import drawing
from atelier.report.views.view import Names, Picture

MAX_SHOWN = 20  # columns of a heat map
MAX_HEAT_MAPS = 4
MAX_ROWS, MAX_CELLS = 16, 6  # of a table of values


def column(spec: Spec, index: int) -> str:
    """Returns the untrusted name of a column; those of events with several axes have none."""
    is_row = len(spec.event_shape) == 1
    return (spec if is_row else spec._replace(column_names=())).column_name(index)


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
    """Returns a heat map of each of the first rows: how its columns change from step to step.

    Of many columns, those that change most are shown.
    Values are in standard deviations of each column around its mean, in `among` or else in x.
    """
    n = min(len(x), MAX_HEAT_MAPS)
    values = np.asarray(x, np.float64).reshape(len(x), x.shape[1], -1)
    reference = values.reshape(-1, spec.num_dims) if among is None else drawing.rows_of(among)
    shown = most_changed(standardized(values[:n], reference), MAX_SHOWN)
    figure, axes = figures.panels(n, 2, size=(4.6, 1.2 + 0.22 * max(len(shown), 6 + bool(across))))
    ticks = np.unique(np.linspace(0, len(column_names) - 1, 4).round().astype(int))
    for axis, row, row_name in zip(axes, values, row_names, strict=False):
        image = axis.imshow(
            standardized(row, reference).T[shown],
            cmap=figures.DIVERGING, vmin=-3, vmax=3, aspect='auto', interpolation='nearest',
        )  # fmt: skip
        axis.set_yticks(range(len(shown)), [drawing.name(column(spec, i), 18) for i in shown])
        axis.set_xticks(ticks, [drawing.name(column_names[i], 8) for i in ticks])
        axis.set_title(drawing.name(row_name))
        axis.set_xlabel(drawing.name(across, drawing.MAX_ACROSS))
    _deviation_bar(figure, image, axes)
    if len(shown) < spec.num_dims:
        title = f'{title}: the {len(shown)} columns of {spec.num_dims:,} that change most'
    title = drawing.of_first(title, n, len(x))
    figure.suptitle(drawing.title_of(title, 4.6 * min(n, 2)))
    return figures.pixels(figure)


def most_changed(x: np.ndarray, most: int) -> list[int]:
    """Returns the columns of rows [rows, steps, columns] whose range over a row is largest.

    Columns with values that are not finite come first. They are in the order of the data.
    """
    with np.errstate(invalid='ignore'):
        ranges = (x.max(1) - x.min(1)).mean(0)
    ranges = np.where(np.isnan(ranges), np.inf, ranges)
    return sorted(np.argsort(-ranges, kind='stable')[:most].tolist())


def _deviation_bar(figure, image, axes) -> None:
    """Draws the scale of colours below the axes."""
    place = dict(location='bottom', shrink=0.8, aspect=40, pad=0.03)
    figure.get_layout_engine().set(h_pad=0.08)  # in inches
    figures.colour_bar(figure, image, axes, label='standard deviations from the mean', **place)


def standardized(x: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Returns x [..., columns] minus the mean of the reference [n, columns], divided by its std."""
    std = reference.std(0)
    return (x - reference.mean(0)) / np.where(std > 0, std, 1.0)


@figures.style()
def ranked(
    x: np.ndarray, captions: Names, spec: Spec, title: str, among: np.ndarray | None = None
) -> Picture:
    """Returns a table: an example a line, its caption and its most unusual values.

    A cell's colour is the distance from the column's mean, in standard deviations of `among`.
    """
    values = drawing.rows_of(x)[:MAX_ROWS]
    reference = drawing.rows_of(x if among is None else among)
    distances = standardized(values, reference)
    n = min(spec.num_dims, MAX_CELLS)
    shown = np.sort(np.argsort(-np.abs(distances).mean(0), kind='stable')[:n]).tolist()
    width = 2.2 + 1.25 * n
    figure, (axis,) = figures.panels(1, size=(width, 1.3 + 0.32 * len(values)))
    image = axis.imshow(distances[:, shown], cmap=figures.DIVERGING, vmin=-5, vmax=5, aspect='auto')
    for (i, j), distance in np.ndenumerate(distances[:, shown]):
        colour = 'white' if abs(distance) > 3 else 'black'
        text = f'{values[i, shown[j]]:.4g}'
        axis.text(j, i, text, ha='center', va='center', color=colour, fontsize=9)
    axis.set_yticks(range(len(values)), [drawing.name(each) for each in captions[: len(values)]])
    axis.set_xticks(range(n), [drawing.wrapped(column(spec, i), 13) for i in shown])
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    _deviation_bar(figure, image, axis)
    more = f' (the {n} most unusual columns of {spec.num_dims:,})' if n < spec.num_dims else ''
    title = drawing.of_first(title + more, len(values), len(x))
    figure.suptitle(drawing.title_of(title, width))
    return figures.pixels(figure)
