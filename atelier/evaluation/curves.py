"""Validation curves of several runs: reading with bounded memory, and plotting."""

import math
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from atelier.errors import shortened_text
from atelier.log import counted, log
from atelier.report import figures
from atelier.report.figure_text import figure_text
from atelier.report.metrics_log import iterate_validations

MAX_PANELS = 20  # metrics of a figure
MAX_POINTS = 10_000  # at most twice as many points of a curve are kept
MAX_PLOTTED = 1e300  # matplotlib fails at the largest floats
TITLE_LETTERS = 30
NAME_LETTERS = 60  # of a run in the legend


class Curve:
    """(step, value) of a metric; of a long curve, every second, fourth, ... point and the last."""

    def __init__(self):
        self._points: list[tuple[int, float]] = []
        self._stride, self._num_added = 1, 0
        self._last = (math.nan, math.nan)

    def add(self, step: int, value: float) -> None:
        """Appends a point."""
        self._last = (step, value)
        if self._num_added % self._stride == 0:
            self._points.append(self._last)
        self._num_added += 1
        if len(self._points) == 2 * MAX_POINTS:
            self._points, self._stride = self._points[::2], 2 * self._stride

    def points(self) -> np.ndarray:
        """Returns float64 [n, 2]: steps and values, NaN for values that cannot be plotted."""
        is_new = bool(self._points) and self._points[-1] != self._last
        points = np.array([*self._points, *([self._last] if is_new else [])], np.float64)
        points = points.reshape(-1, 2)
        return np.where(np.abs(points) < MAX_PLOTTED, points, np.nan)


class Curves(NamedTuple):
    """The validation curves of a run."""

    curves: dict[str, Curve]  # by metric, of the first `MAX_PANELS` metrics
    names: dict[str, None]  # of all metrics


def read_curves(folder: pathlib.Path) -> Curves:
    """Reads the curves from `metrics.jsonl`, whatever its size.

    Raises:
      UserError: the file cannot be read.
    """
    read = Curves({}, {})
    for step, means in iterate_validations(folder):
        for name, value in means.items():
            read.names.setdefault(name)
            if name in read.curves or len(read.curves) < MAX_PANELS:
                read.curves.setdefault(name, Curve()).add(step, value)
    return read


def plot_curves(runs: Mapping[str, Curves], path: pathlib.Path) -> None:
    """Plots one panel per metric with one line per run; logs how many metrics are left out.

    Raises:
      UserError: the file cannot be written.
    """
    names = dict.fromkeys(name for read in runs.values() for name in read.names)
    metrics = list(dict.fromkeys(name for read in runs.values() for name in read.curves))
    metrics = metrics[:MAX_PANELS]
    figures.save_figure(path, _figure(runs, metrics))
    if len(names) > len(metrics):
        log.warning('figure: %s left out', counted(len(names) - len(metrics), 'more metric'))


@figures.style()
def _figure(runs: Mapping[str, Curves], metrics: Sequence[str]):
    figure, axes = figures.panels(len(metrics))
    for name, axis in zip(metrics, axes, strict=True):
        for i, read in enumerate(runs.values()):
            points = read.curves[name].points() if name in read.curves else np.full((1, 2), np.nan)
            axis.plot(*points.T, color=figures.colour(i), linestyle=figures.line_style(i))
        axis.set(title=figure_text(shortened_text(name, TITLE_LETTERS)), xlabel='step')
        figures.few_ticks(axis)
        axis.grid(True)
    figure.suptitle('Validation')
    labels = [figure_text(shortened_text(name, NAME_LETTERS)) for name in without_common(runs)]
    figures.legend_below(figure, axes[0].lines, labels)
    return figure


def without_common(names: Iterable[str]) -> list[str]:
    """Returns the paths of runs without the folders that all of them share at their beginning."""
    parts = [pathlib.PurePath(name).parts for name in names]
    shortest = min(map(len, parts), default=0)
    num_shared = 0
    while num_shared < shortest - 1 and len({each[num_shared] for each in parts}) == 1:
        num_shared += 1
    return [str(pathlib.PurePath(*each[num_shared:])) for each in parts]
