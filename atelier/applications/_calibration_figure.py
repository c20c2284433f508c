"""The figure of a calibration: histograms of ranks, and coverage by level."""

import numpy as np
from jaxtyping import Float, Int

from atelier.data.spec import Spec
from atelier.report import figures
from atelier.report.views import drawing

MAX_DIMS = 8  # in the figure: those with the smallest p-values


def figure(
    counts: Int[np.ndarray, 'dims bins'],
    p_value: Float[np.ndarray, 'dims'],
    band: tuple[int, int],
    levels: Float[np.ndarray, 'levels'],
    coverage: Float[np.ndarray, 'levels dims'],
    spec: Spec,
    title: str,
):
    """Returns the matplotlib figure: a histogram a dimension, then the coverage of all of them.

    Args:
      counts: of ranks.
      p_value: of each histogram.
      band: of the count of a bin, if ranks are uniform.
      levels: of central intervals.
      coverage: the share of true values inside.
      spec: of the data, which names their columns.
      title: of the figure.
    """
    dims = np.sort(np.argsort(p_value, kind='stable')[:MAX_DIMS])
    if len(dims) < len(p_value):
        title = f'{title}: {len(dims)} dimensions with the smallest p-values'
    with figures.style():
        whole, axes = figures.panels(len(dims) + 1)
        for axis, dim in zip(axes, dims.tolist(), strict=False):
            name = drawing.column_name(spec, dim, 'dimension')
            _histogram(axis, counts[dim], band, f'{name}: p = {p_value[dim]:.2g}')
        axes[0].set_ylabel('examples')
        _coverage(axes[-1], levels, coverage[:, dims])
        whole.suptitle(drawing.title_of(title, whole.get_figwidth()))
    return whole


def _histogram(axis, counts: Int[np.ndarray, 'bins'], band: tuple[int, int], title: str) -> None:
    middles = (np.arange(len(counts)) + 0.5) / len(counts)
    axis.axhspan(*band, color=figures.DATA_COLOUR, alpha=0.3, linewidth=0)
    axis.axhline(counts.mean(), color=figures.DATA_COLOUR, linewidth=1)
    axis.bar(middles, counts, width=0.9 / len(counts), color=figures.colour(0), alpha=0.8)
    axis.set(xlabel='rank among the samples', title=title, xlim=(0, 1))
    figures.few_ticks(axis)


def _coverage(axis, levels: Float[np.ndarray, 'levels'], coverage: np.ndarray) -> None:
    axis.plot([0, 1], [0, 1], color=figures.DATA_COLOUR, linewidth=1)
    for i, line in enumerate(coverage.T):
        axis.plot(levels, line, figures.line_style(i), color=figures.colour(i))
    axis.set(xlabel='central interval', ylabel='true values inside', title='coverage')
    axis.set(xlim=(0, 1), ylim=(0, 1))
    axis.grid(True)
