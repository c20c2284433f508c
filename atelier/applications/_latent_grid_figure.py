"""Figures of the grid that latent_map decodes, of data that are not images."""

import itertools
import textwrap
from typing import NamedTuple

import numpy as np

from atelier.applications._codes_figure import Numbers
from atelier.data.spec import Spec
from atelier.log import counted
from atelier.report import figures, fonts
from atelier.report.figure_text import number
from atelier.report.views import drawing, item_view, point_view, signal_view, table_view
from atelier.report.views.view import DATA, Picture, View

MAX_COLUMNS = 9  # of a table, those that change most
MAX_SIGNALS, MAX_ITEMS = 8, 7  # along each axis of the grid
ITEMS_WIDTH = 8.2  # of a plane of items, in inches
ITEM_SIZE, MAX_ITEM_LINES = 7.5, 4  # of their letters, in points, and of a text
PANEL = (3.3, 3.0)  # inches


class Grid(NamedTuple):
    """A decoded grid.

    u: [n], its coordinates along the first axis of the plane.
    v: [m], those along the second.
    x: [m, n, *event], with v along the first axis.
    names: of the two axes of the plane.
    title: of the figure.
    numbers: of the examples, by which texts are coloured; None: they are not.
    """

    u: np.ndarray
    v: np.ndarray
    x: np.ndarray
    names: tuple[str, str]
    title: str
    numbers: Numbers | None = None


@figures.style()
def picture(view: View, grid: Grid, spec: Spec, among: np.ndarray | None = None) -> Picture:
    """Returns the picture of a grid: points as a net among data [n, *event], signals as lines in
    their places, items as texts in theirs, and the columns of tables, or single values, as maps
    over the plane.
    """
    if view is point_view.POINTS:
        return _net(grid, spec, among)
    if view is item_view.ITEMS:
        return _items(grid, spec)
    return _signals(grid, spec) if view is signal_view.SIGNALS else _maps(grid, spec)


def _net(grid: Grid, spec: Spec, among: np.ndarray | None) -> Picture:
    planes = [*itertools.combinations(range(spec.num_dims), 2)]
    size = (5.6, 5.6) if len(planes) == 1 else (3.3, 3.6)
    figure, axes = figures.panels(len(planes), size=size)
    for axis, plane in zip(axes, planes, strict=True):
        if among is not None:
            data = drawing.rows_of(among)[:, plane]
            axis.plot(*data.T, '.', color=figures.DATA_COLOUR, markersize=2, label=DATA)
        x = np.asarray(grid.x, np.float64)[..., plane]
        for i, lines in enumerate((x, np.swapaxes(x, 0, 1))):
            for line in lines:
                axis.plot(*line.T, color=figures.colour(i), linewidth=0.9)
            axis.plot([], [], color=figures.colour(i), label=f'along {grid.names[i]}')
        names = [point_view.axis_name(spec, i) for i in plane]
        axis.set(xlabel=names[0], ylabel=names[1])
        figures.few_ticks(axis)
    figure.suptitle(drawing.title_of(grid.title, size[0] * len(planes)))
    drawing.legend(figure, axes[0])
    return figures.pixels(figure)


def _maps(grid: Grid, spec: Spec) -> Picture:
    values = np.asarray(grid.x, np.float64).reshape(len(grid.v), len(grid.u), -1)
    scale = np.asarray(spec.affine(spec.event_shape)[1], np.float64).ravel()
    change = values.std((0, 1)) / scale
    shown = np.sort(np.argsort(-change, kind='stable')[:MAX_COLUMNS]).tolist()
    size = PANEL if len(shown) > 1 else (5.6, 5.0)
    figure, axes = figures.panels(len(shown), size=size)
    v = grid.v if np.ptp(grid.v) > 0 else np.arange(len(grid.v))
    for axis, i in zip(axes, shown, strict=True):
        mesh = axis.pcolormesh(grid.u, v, values[..., i], cmap=figures.SEQUENTIAL)
        figures.colour_bar(figure, mesh, axis, 4, shrink=0.8, aspect=18)
        axis.set_title(drawing.name(table_view.column(spec, i)))
        axis.set(xlabel=grid.names[0], ylabel=grid.names[1])
        figures.few_ticks(axis)
    title = grid.title
    if len(shown) < spec.num_dims:
        title += f': the {counted(len(shown), "column")} of {spec.num_dims:,} that change most'
    figure.suptitle(drawing.title_of(title, size[0] * min(len(shown), 3)))
    return figures.pixels(figure)


def _signals(grid: Grid, spec: Spec) -> Picture:
    """Draws a part of the grid: v points upwards."""
    rows, columns = (_evenly(len(axis)) for axis in (grid.v[::-1], grid.u))
    from matplotlib.figure import Figure  # slow import

    width = 1.15 * len(columns) + 1.0
    figure = Figure(figsize=(max(width, 4.0), 0.8 * len(rows) + 1.3), layout='constrained')
    axes = figure.subplots(len(rows), len(columns), squeeze=False, sharex=True, sharey=True)
    for line, i in zip(axes, rows, strict=True):
        for axis, j in zip(line, columns, strict=True):
            signal_view.draw(axis, grid.x[::-1][i, j], spec, figures.colour(0))
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(number(grid.v[::-1][i], 2), rotation=0, ha='right', va='center')
    for axis, j in zip(axes[-1], columns, strict=True):
        axis.set_xlabel(number(grid.u[j], 2))
    figure.supxlabel(grid.names[0])
    figure.supylabel(grid.names[1])
    more = f' (each from position 0 to {spec.event_shape[0] - 1})'
    channels = signal_view.num_channels(spec)
    more += f', {counted(channels, "channel")}' if channels > 1 else ''
    figure.suptitle(drawing.title_of(grid.title + more, max(width, 4.0)))
    return figures.pixels(figure)


def _items(grid: Grid, spec: Spec) -> Picture:
    """Draws a part of the grid: v points upwards, and colours show the numbers of items."""
    rows, columns = (_evenly(len(axis), MAX_ITEMS) for axis in (grid.v[::-1], grid.u))
    from matplotlib.figure import Figure  # slow import

    shown = grid.x[::-1][rows][:, columns]
    letters = int((ITEMS_WIDTH / len(columns) - 0.16) / (0.602 * ITEM_SIZE / 72))
    cells = [[_in_lines(text, letters) for text in item_view.texts_of(r, spec)] for r in shown]
    most = max(cell.count('\n') + 1 for row in cells for cell in row)
    height = len(rows) * (0.14 * most + 0.12)
    has_bar = grid.numbers is not None
    width = ITEMS_WIDTH + 0.9 + 0.9 * has_bar
    figure = Figure(figsize=(width, height + 1.5), layout='constrained')
    axis = figure.subplots()
    axis.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    colours = _background(figure, axis, grid, rows, columns) if has_bar else None
    style = dict(fontsize=ITEM_SIZE, ha='center', va='center', parse_math=False)
    families = [item_view.FONT, *fonts.families()]
    for i, row in enumerate(cells):
        for j, cell in enumerate(row):
            is_dark = colours is not None and colours[i, j] < 0.55
            colour = 'white' if is_dark else 'black'
            axis.text(j, i, cell, family=families, color=colour, in_layout=False, **style)
    for ticks, set_ticks in (
        (grid.u[columns], axis.set_xticks),
        (grid.v[::-1][rows], axis.set_yticks),
    ):
        set_ticks(range(len(ticks)), [number(each, 2) for each in ticks])
    axis.tick_params(length=0)
    axis.set(xlabel=grid.names[0], ylabel=grid.names[1])
    figure.suptitle(drawing.title_of(grid.title, width))
    return figures.pixels(figure)


def _background(figure, axis, grid: Grid, rows: list[int], columns: list[int]) -> np.ndarray:
    """Colours the cells by their numbers; returns these, from 0 to 1, and 1 where there is none."""
    low, high = grid.numbers.limits
    values = grid.numbers.of_grid[::-1][rows][:, columns]
    style = dict(cmap=figures.SEQUENTIAL, vmin=low, vmax=high, aspect='auto')
    shown = axis.imshow(values, **style)
    bar = dict(extend='both', aspect=30, pad=0.02, are_integers=grid.numbers.are_integers)
    name = drawing.name(grid.numbers.name, drawing.MAX_ACROSS)
    figures.colour_bar(figure, shown, axis, label=name, **bar)
    return np.nan_to_num((values - low) / (high - low), nan=1.0)


def _in_lines(text: str, letters: int) -> str:
    """Returns a text in lines of at most so many letters, cut where they are too many."""
    lines = textwrap.wrap(text, letters, break_on_hyphens=False) or ['']
    if len(lines) > MAX_ITEM_LINES:
        lines = [*lines[: MAX_ITEM_LINES - 1], f'{lines[MAX_ITEM_LINES - 1][: letters - 3]}...']
    return '\n'.join(lines)


def _evenly(n: int, most: int = MAX_SIGNALS) -> list[int]:
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int)).tolist()
