"""Shared by views: frames around data, names of axes, colours of classes, and histograms."""

import math
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from atelier.data.spec import Spec
from atelier.errors import shortened_text
from atelier.log import counted, escaped
from atelier.report import figures
from atelier.report.figure_text import figure_text, fitting, title_lines
from atelier.report.views.view import DATA, Labels, Sets

MAX_CLASSES = len(figures.COLOURS)  # that have a colour of their own; of more, all share one
MIN_BINS, MAX_BINS = 8, 60
MARGIN = 0.06  # of a frame, relative to its width
REACH = 0.5  # of the range of the data, by which samples may enlarge a frame
MAX_LETTERS = 24  # of the name of a column, a class or a set in a figure
MAX_ACROSS = 60  # of what the names of columns are
MAX_TITLE = 160


class Part(NamedTuple):
    """Examples of one colour: those of a class, or of a whole set, of which they are a `share`."""

    name: str
    x: np.ndarray
    colour: str
    share: float = 1.0


def name(text: str, letters: int = MAX_LETTERS) -> str:
    """Returns an untrusted name as a figure shows it, shortened."""
    text = escaped(text)
    return figure_text(shortened_text(text, fitting(text, letters)))


def wrapped(text: str, letters: int) -> str:
    """Returns an untrusted name as a figure shows it, in at most two lines of so many letters."""
    text = shortened_text(escaped(text), MAX_TITLE)
    letters = fitting(text, letters)
    first, *others = textwrap.wrap(text, letters) or ['']
    lines = [first, shortened_text(' '.join(others), letters)] if others else [first]
    return '\n'.join(map(figure_text, lines))


def title_of(text: str, width: float) -> str:
    """Returns a title in lines that fit a figure of this width in inches."""
    return title_lines(figure_text(shortened_text(text, MAX_TITLE)), width)


def of_first(title: str, shown: int, total: int) -> str:
    """Returns a title that says so if a figure shows only the first of its examples."""
    return title if shown >= total else f'{title} (the first {shown:,} of {total:,})'


def noting_classes(title: str, labels: Labels | None) -> str:
    """Returns a title that says so if a set has more classes than there are colours."""
    most = max((len(np.unique(label)) for label in (labels or {}).values()), default=0)
    return f'{title} (one colour for all {most} classes)' if most > MAX_CLASSES else title


def column_name(spec: Spec, index: int, noun: str = 'column') -> str:
    """Returns the name of a column as a figure shows it."""
    return name(spec.column_name(index, noun))


def rows_of(x: np.ndarray) -> np.ndarray:
    """Returns events [n, *event] as float64 [n, values]."""
    return np.asarray(x, np.float64).reshape(len(x), -1)


def set_colour(sets: Sets, which: str) -> str:
    """Returns the colour of a set: grey for the data, else by its order among the others."""
    others = [each for each in sets if each != DATA]
    return figures.DATA_COLOUR if which == DATA else figures.colour(others.index(which))


def parts_of(sets: Sets, which: str, spec: Spec, labels: Labels | None) -> list[Part]:
    """Returns the examples [n, values] of a set by class or, without labels, all as one part.

    They are one part, too, if there are more than `MAX_CLASSES`, which `noting_classes` says.
    """
    x, label = rows_of(sets[which]), (labels or {}).get(which)
    classes = [] if label is None else np.unique(label).tolist()
    if not 0 < len(classes) <= MAX_CLASSES:
        return [Part(name(which), x, set_colour(sets, which))]
    # the place among the classes that training knows, so that a class keeps its colour
    known = {each: i for i, each in enumerate(spec.known_classes)}
    parts = []
    for each in classes:
        is_class, colour = label == each, figures.colour(known.get(each, each))
        class_name = spec.class_name(each) if spec.class_names else f'class {each}'
        parts.append(Part(name(class_name), x[is_class], colour, float(np.mean(is_class))))
    return parts


def frame(sets: Sets) -> tuple[np.ndarray, np.ndarray]:
    """Returns the smallest and the largest value [values] that a figure of these sets shows.

    The frame holds all data and most samples. Samples far from the data do not enlarge it, unless
    the data have one value only.
    """
    others = [rows_of(x) for each, x in sets.items() if each != DATA]
    low, high = _range(np.concatenate(others), 0.01) if others else (None, None)
    if DATA in sets:
        data_low, data_high = _range(rows_of(sets[DATA]), 0.0)
        width = data_high - data_low
        reach = np.where(width > 0, REACH * width, np.inf)  # of one value, the samples decide
        low = data_low if low is None else np.clip(low, data_low - reach, data_low)
        high = data_high if high is None else np.clip(high, data_high, data_high + reach)
    margin = np.where(high > low, MARGIN * (high - low), 0.5)
    return low - margin, high + margin


def enlarged(
    low: np.ndarray, high: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns a frame that also holds points [n, values], such as paths, which may not be cut.

    It grows by at most its own width at each side, so that a path that has diverged hides nothing.
    """
    first, last = _range(points, 0.0)
    width = high - low
    margin = MARGIN * width
    lower = np.where(first < low, np.maximum(first - margin, low - width), low)
    return lower, np.where(last > high, np.minimum(last + margin, high + width), high)


def reference(sets: Sets) -> np.ndarray:
    """Returns the data [n, *event] or, without data, the first set."""
    return np.asarray(sets.get(DATA, next(iter(sets.values()))))


def _range(x: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the quantiles `share` and 1 - share of the finite values of each column."""
    finite = np.where(np.isfinite(x), x, np.nan)
    finite[:, np.isnan(finite).all(0)] = 0.0
    return np.nanquantile(finite, share, axis=0), np.nanquantile(finite, 1 - share, axis=0)


def outside(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> int:
    """Returns how many rows [n, values] have a value outside the frame, or none that is finite."""
    return int(np.sum(~((x >= low) & (x <= high)).all(1)))


def counts(which: str, x: np.ndarray, low: np.ndarray, high: np.ndarray) -> str:
    """Returns the title of a panel of a set, such as 'samples (1,000 points, 3 outside)'."""
    num_outside = outside(x, low, high)
    more = f', {num_outside:,} outside' if num_outside else ''
    return f'{name(which)} ({counted(len(x), "point")}{more})'


def bin_edges(x: np.ndarray, low: float, high: float, is_discrete: bool) -> np.ndarray:
    """Returns edges of bins of x [n]: one for each level, else about the root of n in number.

    Bins of very many levels have as many of them each: else some would be higher for having more.
    """
    inside = x[(x >= low) & (x <= high)]
    if is_discrete:
        first, last = np.floor(low + 0.5), np.ceil(high - 0.5)
        width = 1 if high - low <= 4 * MAX_BINS else math.ceil((last - first + 1) / MAX_BINS)
        return first - 0.5 + np.arange(0, last - first + 1 + width, width)
    return np.linspace(low, high, 1 + min(max(math.isqrt(len(inside)), MIN_BINS), MAX_BINS))


def histogram(axis, parts: list[Part], edges: np.ndarray, column: int = 0, fill: int = 1) -> None:
    """Draws the density of each part: the first `fill` filled, the others as outlines.

    Its area is the share of the part; values outside the edges count as well.
    """
    for i, part in enumerate(parts):
        x = part.x[:, column]
        heights, _ = np.histogram(x, edges)
        heights = part.share * heights / (max(1, len(x)) * np.diff(edges))
        if i < fill:
            axis.stairs(heights, edges, fill=True, color=part.colour, alpha=0.45, label=part.name)
        else:
            axis.stairs(heights, edges, color=part.colour, linewidth=1.8, label=part.name)


def all_parts(sets: Sets, spec: Spec, labels: Labels | None) -> Iterator[Part]:
    """Yields the parts of all sets: the data first, as one part."""
    ordered = sorted(sets, key=lambda each: each != DATA)
    for which in ordered:
        yield from parts_of(sets, which, spec, None if which == DATA else labels)


def legend(figure, axis, columns: int = 5) -> None:
    """Draws the legend of an axis below the figure, where it hides nothing."""
    handles, names = axis.get_legend_handles_labels()
    if handles:
        columns = figures.legend_columns(names, figure.get_figwidth(), columns)
        figure.legend(handles, names, loc='outside lower center', ncols=columns)
