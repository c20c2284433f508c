"""Curves of a page: what the script draws, bounded in their number and their points."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from atelier.errors import shortened_text
from atelier.log import escaped
from atelier.report.page.html import Html, element, note

MAX_POINTS = 400  # of a line
MIN_POINTS = 40
MAX_LETTERS = 60  # of a title, and of the name of a line


class Line(NamedTuple):
    """A curve.

    name: in the legend.
    points: steps and values, NaN where there is none.
    is_pale: whether it is drawn behind the others, as training is behind validation.
    colour: index of its colour, of eight.
    """

    name: str
    points: Float[np.ndarray, 'n 2']
    is_pale: bool = False
    colour: int = 0


class Chart(NamedTuple):
    """Lines over the same steps."""

    title: str
    lines: tuple[Line, ...]


def means_of(points: Float[np.ndarray, 'n 2'], most: int) -> Float[np.ndarray, 'm 2']:
    """Returns at most `most` points: the means of as many neighbouring ones each.

    A mean is that of the finite values, and NaN if there is none. The last point stands at the last
    step.
    """
    if len(points) <= most:
        return points
    parts = np.array_split(points, most)
    values = [part[np.isfinite(part[:, 1]), 1] for part in parts]
    means = [value.mean() if len(value) else np.nan for value in values]
    return np.stack([[part[-1, 0] for part in parts], means], axis=1)


def points_of_each(charts: Sequence[Chart], total: int) -> int:
    """Returns the points of a line of which all lines together have about `total`."""
    num_lines = max(1, sum(len(chart.lines) for chart in charts))
    return min(MAX_POINTS, max(MIN_POINTS, total // num_lines))


def for_script(charts: Sequence[Chart], total: int) -> list[dict[str, Any]]:
    """Returns the charts as the script of a page reads them, with about `total` points in all."""
    most = points_of_each(charts, total)
    return [
        {'title': _plain(chart.title), 'lines': [_of_line(line, most) for line in chart.lines]}
        for chart in charts
    ]


def _of_line(line: Line, most: int) -> dict[str, Any]:
    steps, values = means_of(line.points, most).T
    plain = [float(f'{value:.6g}') if np.isfinite(value) else None for value in values]
    return {
        'name': _plain(line.name),
        'pale': line.is_pale,
        'colour': line.colour % 8,
        'dash': line.colour // 8 % 4,
        'x': [int(step) for step in steps],
        'y': plain,
    }


def _plain(text: str) -> str:
    return escaped(shortened_text(text, MAX_LETTERS))


def places(charts: Sequence[Chart]) -> Html:
    """Returns the elements in which the script draws the charts, in the same order.

    A curve without a finite value cannot be drawn, and a line of words stands in its place.
    """
    return element('div', *(_place(i, chart) for i, chart in enumerate(charts)), class_='charts')


def _place(index: int, chart: Chart) -> Html:
    title = _plain(chart.title)
    empty = [line for line in chart.lines if not np.isfinite(line.points[:, 1]).any()]
    remarks = [note(_plain(line.name), ': no value is finite') for line in empty]
    plot = element(
        'div', class_='plot', data_chart=index, role='img', aria_label=f'curves of {title}'
    )
    is_drawn = len(empty) < max(len(chart.lines), 1)
    parts = [element('figcaption', title), plot if is_drawn else '', *remarks]
    return element('figure', *parts, class_='chart')
