"""Items, texts that end, such as names and molecules: lists in letters of one width; lengths."""

import difflib
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from atelier.data import items
from atelier.data.spec import Spec
from atelier.data.text import decode
from atelier.errors import shortened_text
from atelier.report import figures, fonts, texts
from atelier.report.figure_text import figure_text, width_of
from atelier.report.views import drawing
from atelier.report.views.view import DATA, Density, Labels, Names, Picture, Sets, View

FONT = 'DejaVu Sans Mono'  # which matplotlib brings along
SIZE = 9.0  # of letters, in points
LETTER, LINE = 0.602 * SIZE / 72, 0.2  # width of a letter and height of a line, in inches
WIDTH, NARROW = 10.0, 3.6  # of the widest figure and of the narrowest column, in inches
MAX_SETS, MAX_COLUMNS = 4, 2
MAX_LISTED, MAX_PAIRS, MAX_ROWS, MAX_RANKED = 16, 12, 12, 40
MAX_CAPTION = 18  # letters of the name of a class
MAX_STEPS = 30  # lines of a row
FITTING = 0.9  # share of the lines that fit their column whole
MAX_BINS = 30  # of lengths
CHANGED = figures.COLOURS[3]
REMARK = 'coloured: letters that the line before does not have'


class Line(NamedTuple):
    """A line of a list.

    text: the item.
    caption: what stands before it, in grey.
    like: another text; letters that it does not have are coloured. None: nothing is.
    """

    text: str
    caption: str = ''
    like: str | None = None


class Block(NamedTuple):
    """A list of items with a title."""

    title: str
    lines: Sequence[Line]

    @property
    def width(self) -> int:
        """The width of its captions, with a gap, in letters."""
        widest = max((width_of(line.caption) for line in self.lines), default=0)
        return widest + 2 if widest else 0


@figures.style()
def samples(
    sets: Sets,
    spec: Spec,
    title: str,
    labels: Labels | None = None,
    density: Density | None = None,
) -> Picture:
    """Returns the first items of each set side by side, with classes, and histograms of lengths."""
    del density  # of items there is none
    shown = [*sets][:MAX_SETS]
    blocks = []
    for which in shown:
        label = (labels or {}).get(which)
        names = [''] * MAX_LISTED if label is None else _class_names(spec, label[:MAX_LISTED])
        listed = texts_of(sets[which][:MAX_LISTED], spec)
        lines = [Line(text, name) for text, name in zip(listed, names, strict=False)]
        name = shortened_text(which, drawing.MAX_LETTERS)
        blocks.append(Block(f'{name}: {len(lines):,} of {len(sets[which]):,}', lines))
    if len(sets) > len(shown):
        title += f' (the first {len(shown)} of {len(sets)} sets)'
    figure, axis = _lists(blocks, title, MAX_SETS, below=2.4)
    _lengths(axis, {which: sets[which] for which in shown})
    return figures.pixels(figure)


def texts_of(x: np.ndarray, spec: Spec) -> list[str]:
    """Returns the items of events [n, length] as figures show them, in one line each."""
    return [texts.in_one_line(text) for text in decode(x, spec.symbols)]


def _class_names(spec: Spec, label: np.ndarray) -> list[str]:
    names = [spec.class_name(int(each)) for each in label]
    return [shortened_text(name, MAX_CAPTION) for name in names]


def _lengths(axis, sets: Sets) -> None:
    """Draws histograms of the numbers of symbols of items: of the data filled, others as lines."""
    lengths = {which: items.num_symbols(x)[:, None] for which, x in sets.items()}
    longest = max(int(each.max(initial=1)) for each in lengths.values())
    step = math.ceil((longest + 1) / MAX_BINS)
    edges = np.arange(0, longest + 1 + step, step) - 0.5
    ordered = sorted(sets, key=lambda which: which != DATA)
    parts = [
        drawing.Part(drawing.name(which), lengths[which], drawing.set_colour(sets, which))
        for which in ordered
    ]
    drawing.histogram(axis, parts, edges)
    axis.set(xlabel='length of an item, in symbols', ylabel='share per symbol')
    axis.legend(loc='upper right')


@figures.style()
def pairs(x: np.ndarray, reconstruction: np.ndarray, spec: Spec, title: str) -> Picture:
    """Returns items with their reconstructions below them, whose other letters are coloured."""
    originals, others = texts_of(x, spec), texts_of(reconstruction, spec)
    both = [*zip(originals, others, strict=True)]
    num_same = sum(one == other for one, other in both)
    title = f'{drawing.of_first(title, MAX_PAIRS, len(x))}: {num_same:,} of {len(x):,} are equal'
    lines: list[Line] = []
    for i, (one, other) in enumerate(both[:MAX_PAIRS], 1):
        lines += [Line(one, f'{i:>2}  x'), Line(other, '    x^', one), Line('')]
    figure, _ = _lists([Block('', lines[:-1])], title, 1, remark=REMARK)
    return figures.pixels(figure)


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
    """Returns a list a row, one item a step; letters that the step before lacks are coloured."""
    del among
    n, steps = min(len(x), MAX_ROWS), _few(x.shape[1])
    are_named = len({*row_names}) > 1
    blocks = []
    for events, row_name in zip(x[:n], row_names, strict=False):
        shown = texts_of(events[steps], spec)
        names = [column_names[i] for i in steps]
        likes = [None, *shown]
        lines = [Line(*each) for each in zip(shown, names, likes, strict=False)]
        blocks.append(Block(row_name if are_named else '', lines))
    title = drawing.of_first(title, n, len(x))
    remark = f'{REMARK}; in grey: {across}' if across else REMARK
    figure, _ = _lists(blocks, title, MAX_COLUMNS, remark=remark)
    return figures.pixels(figure)


def _few(n: int) -> list[int]:
    """Returns indices of at most `MAX_STEPS` of n steps, evenly, with the first and the last."""
    return np.unique(np.linspace(0, n - 1, min(n, MAX_STEPS)).round().astype(int)).tolist()


@figures.style()
def ranked(
    x: np.ndarray, captions: Names, spec: Spec, title: str, among: np.ndarray | None = None
) -> Picture:
    """Returns a list of items, each after its caption."""
    del among
    shown = texts_of(x[:MAX_RANKED], spec)
    lines = [Line(text, caption) for text, caption in zip(shown, captions, strict=False)]
    title = drawing.of_first(title, len(lines), len(x))
    figure, _ = _lists([Block('', lines)], title, 1)
    return figures.pixels(figure)


def _lists(
    blocks: Sequence[Block], title: str, max_columns: int, below: float = 0.0, remark: str = ''
):
    """Returns (figure, axis below or None): lists side by side, as many as most lines fit.

    Args:
      blocks: the lists.
      title: of the figure.
      max_columns: most lists side by side.
      below: height of an axis below all lists, in inches; 0: there is none.
      remark: below the lists.
    """
    from matplotlib.figure import Figure  # slow import

    widths = [block.width + width_of(line.text) for block in blocks for line in block.lines]
    usual, widest = float(np.quantile(widths, FITTING)), max(widths)
    fitting = [c for c in range(1, max_columns + 1) if usual <= letters_in(WIDTH / c)]
    columns = min(len(blocks), max(fitting, default=1))
    width = columns * min(max(LETTER * widest + 0.4, NARROW), WIDTH / columns)
    width = max(width, 6.0)
    most = max(len(block.lines) for block in blocks)
    num_rows, named = -(-len(blocks) // columns), any(block.title for block in blocks)
    lists = num_rows * (most * LINE + 0.32 * named)
    title, remark = drawing.title_of(title, width), drawing.title_of(remark, width)
    texts_height = 0.35 + 0.24 * len(title.splitlines()) + 0.2 * len(remark.splitlines())
    figure = Figure(figsize=(width, lists + below + texts_height), layout='constrained')
    parts = figure.subfigures(1 + bool(below), 1, height_ratios=[lists, below][: 1 + bool(below)])
    above, *others = np.ravel(parts).tolist()
    axes = above.subplots(num_rows, columns, squeeze=False).ravel()
    for axis, block in zip(axes, blocks, strict=False):
        _draw(axis, block, most, letters_in(width / columns))
    for axis in axes[len(blocks) :]:
        axis.remove()
    figure.suptitle(title)
    if remark:
        figure.supxlabel(remark, fontsize='small', color=CHANGED)
    return figure, others[0].subplots() if others else None


def letters_in(inches: float) -> int:
    """Returns how many letters fit a list of this width."""
    return int((inches - 0.25) / LETTER)


def _draw(axis, block: Block, num_lines: int, columns: int) -> None:
    """Draws a list from the top of an axis that has place for `num_lines`."""
    axis.set(xlim=(0, 1), ylim=(num_lines - 0.5, -0.5))
    axis.set_axis_off()
    if block.title:
        axis.set_title(figure_text(block.title), loc='left')
    letters = max(8, columns - block.width)
    for i, line in enumerate(block.lines):
        _write(axis, i, 0, line.caption, '0.45')
        shown = shortened_text(line.text, letters)
        for start, text, is_new in runs(shown, changed(shown, line.like)):
            _write(axis, i, block.width + start, text, CHANGED if is_new else 'black')


def runs(text: str, is_new: np.ndarray) -> Iterator[tuple[int, str, bool]]:
    """Yields (first letter, letters, whether they are new) of parts that are all new or all not."""
    edges = [0, *(np.flatnonzero(np.diff(is_new)) + 1).tolist(), len(text)]
    for start, end in itertools.pairwise(edges):
        if end > start:
            yield start, text[start:end], bool(is_new[start])


def _write(axis, line: int, start: int, text: str, colour: str) -> None:
    """Writes a text so many letters from the left of an axis."""
    if text.strip():
        families = [FONT, *fonts.families()]
        options = dict(parse_math=False, va='center', family=families, annotation_clip=False)
        place = dict(xycoords=('axes fraction', 'data'), textcoords='offset points')
        offset = (72 * LETTER * start, 0)
        written = axis.annotate(
            text, (0, line), offset, color=colour, fontsize=SIZE, **place, **options
        )
        written.set_in_layout(False)


def changed(text: str, like: str | None) -> np.ndarray:
    """Returns whether each letter of a text is one that another text does not have: [letters].

    The texts are aligned by their longest common parts. None of a text with wide letters is, as
    those of two colours would not stand at their places.
    """
    is_new = np.zeros(len(text), bool)
    if like is None or width_of(text) != len(text):
        return is_new
    for kind, _, _, first, end in difflib.SequenceMatcher(None, like, text, False).get_opcodes():
        is_new[first:end] = kind != 'equal'
    return is_new


ITEMS = View('items', 'items', False, True, samples, pairs, rows, ranked, True)
