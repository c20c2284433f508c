"""The figure of a sweep: the metric of its members over each axis."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from atelier.errors import shortened_text
from atelier.report import figures
from atelier.report.figure_text import figure_text

MAX_TICKS = 6  # values of an axis with labels
TICK_LETTERS = 12
NAME_LETTERS = 30
LOG_RATIO = 10  # an axis whose values span more than this factor is logarithmic


@figures.style()
def save_figure(
    path: pathlib.Path, rows: Sequence[dict[str, Any]], fields: Sequence[str], metric: str
) -> None:
    """Draws a panel per axis: a dot for each member, and the mean at each value.

    Raises:
      UserError: the file cannot be written.
    """
    figure, axes = figures.panels(len(fields), size=(4.0, 3.4))
    measured = [row for row in rows if row.get(metric) is not None]
    for field, axis in zip(fields, axes, strict=True):
        _draw(axis, [row[field] for row in measured], [row[metric] for row in measured], field)
        name = figure_text(shortened_text(metric, NAME_LETTERS))
        axis.set(xlabel=figure_text(field), ylabel=f'{name}, validation')
        axis.grid(True)
    figure.suptitle('Members (dots) and their mean')
    figures.save_figure(path, figure)


def _draw(axis, settings: Sequence[Any], results: Sequence[float], field: str) -> None:
    """Draws the results over the values of an axis; values that are no numbers stand in order."""
    values = sorted(set(settings))
    is_numeric = all(isinstance(value, int | float) for value in values)
    positions = {value: value if is_numeric else i for i, value in enumerate(values)}
    colour = figures.colour(0)
    axis.plot([positions[each] for each in settings], results, '.', alpha=0.5, color=colour)
    matching = lambda value: [r for s, r in zip(settings, results, strict=True) if s == value]
    means = [np.mean(matching(value)) for value in values]
    # seeds have no order, so no line joins them
    axis.plot([*positions.values()], means, '_' if field == 'seed' else '-', color=colour)
    figures.few_ticks(axis)
    if all(isinstance(value, int) for value in values):
        axis.xaxis.get_major_locator().set_params(integer=True)
    if is_numeric and values and min(values) > 0 and max(values) >= LOG_RATIO * min(values):
        axis.set_xscale('log')
    if not is_numeric or axis.get_xscale() == 'log':
        _label(axis, positions)


def _label(axis, positions: dict[Any, float]) -> None:
    """Labels up to `MAX_TICKS` of the values, evenly chosen."""
    stride = -(-len(positions) // MAX_TICKS)
    shown = dict([*positions.items()][::stride])
    names = [
        shortened_text(f'{v:g}' if isinstance(v, float) else str(v), TICK_LETTERS) for v in shown
    ]
    axis.set_xticks([*shown.values()], [figure_text(name) for name in names], rotation=30)
    axis.set_xticks([], minor=True)
