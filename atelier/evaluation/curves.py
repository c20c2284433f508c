"""Validation curves of several runs: reading with bounded memory, and plotting."""

import math
import pathlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from atelier.errors import shortened_text
from atelier.log import counted, escaped, log
from atelier.report import figures
from atelier.report.metrics_log import iterate_validations

MAX_PANELS = 20  # metrics of a figure
MAX_POINTS = 10_000  # at most twice as many points of a curve are kept
MAX_PLOTTED = 1e300  # matplotlib fails at the largest floats
TITLE_LETTERS = 40


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
    from matplotlib.figure import Figure  # slow import, needed only here

    names = dict.fromkeys(name for read in runs.values() for name in read.names)
    metrics = list(dict.fromkeys(name for read in runs.values() for name in read.curves))
    metrics = metrics[:MAX_PANELS]
    figure = Figure(figsize=(5 * len(metrics), 4), layout='constrained')
    axes = figure.subplots(1, len(metrics), squeeze=False)
    for name, axis in zip(metrics, axes[0], strict=True):
        for run, read in runs.items():
            points = read.curves[name].points() if name in read.curves else np.full((1, 2), np.nan)
            axis.plot(*points.T, label=_as_plain(run))
        title = _as_plain(shortened_text(name, TITLE_LETTERS))
        axis.set(title=f'{title}, validation', xlabel='step')
        axis.grid(alpha=0.3)
    axes[0][0].legend()
    figures.save_figure(path, figure)
    if len(names) > len(metrics):
        log.warning('figure: %s left out', counted(len(names) - len(metrics), 'more metric'))


def _as_plain(text: str) -> str:
    """Returns a text that matplotlib draws as it is: between dollars, it reads formulas."""
    return escaped(text).replace('$', r'\$')
