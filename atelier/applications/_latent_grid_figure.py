"""Figures of the grid that latent_map decodes, of data that are not images."""

import itertools
from typing import NamedTuple

import numpy as np

from atelier.data.spec import Spec
from atelier.log import counted
from atelier.report import figures
from atelier.report.figure_text import number
from atelier.report.views import drawing, point_view, signal_view, table_view
from atelier.report.views.view import DATA, Picture, View

MAX_COLUMNS = 9  # of a table, those that change most
MAX_SIGNALS = 8  # along each axis of the grid
PANEL = (3.3, 3.0)  # inches


class Grid(NamedTuple):
    """A decoded grid.

    u: [n], its coordinates along the first axis of the plane.
    v: [m], those along the second.
    x: [m, n, *event], with v along the first axis.
    names: of the two axes of the plane.
    title: of the figure.
    """

    u: np.ndarray
    v: np.ndarray
    x: np.ndarray
    names: tuple[str, str]
    title: str


@figures.style()
def picture(view: View, grid: Grid, spec: Spec, among: np.ndarray | None = None) -> Picture:
    """Returns the picture of a grid: points as a net among data [n, *event], signals as lines in
    their places, and the columns of tables, or single values, as maps over the plane.
    """
    if view is point_view.POINTS:
        return _net(grid, spec, among)
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


def _evenly(n: int) -> list[int]:
    return np.unique(np.linspace(0, n - 1, min(n, MAX_SIGNALS)).round().astype(int)).tolist()
