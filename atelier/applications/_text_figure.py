"""Figures of text in which the colour behind each character is its nats, -log p."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from atelier.data.items import END
from atelier.log import counted
from atelier.report import figures
from atelier.report.figure_text import title_lines
from atelier.report.texts import UNKNOWN, VISIBLE

WINDOWS, ITEMS = 4, 12  # least likely, and as many most likely ones
COLUMNS = 80  # characters of a line, at most
MIN_COLUMNS = 40  # of a figure
TITLE_CELL = 0.75  # width of a character of a title, in those of a line
MIN_ROWS, MAX_LINES = 12, 32  # of a figure, with titles; of a passage
BEFORE = 40  # characters shown before those that are scored
MAX_SHOWN = 160  # characters of a window
CELL = (0.1, 0.21)  # width and height of a character, in inches
CMAP = 'Oranges'  # from white, on which black text is legible, to dark
LABEL = '-log p of a character,\ngiven those before it (nats)'


class Passage(NamedTuple):
    """Characters with their nats.

    title: the line above them.
    text: the characters.
    nats: [characters]; nan for those that are not scored.
    has_lines: whether a line ends where the text has a line end or an item its end.
    """

    title: str
    text: str
    nats: np.ndarray
    has_lines: bool = False


Line = list[tuple[str, float]]  # characters and their nats


def windows(
    text: Sequence[str], nats: np.ndarray, num_scored: np.ndarray, positions: np.ndarray
) -> list[Passage]:
    """Returns the least likely windows, then the most likely ones.

    Windows that score less than half as many characters as others are left out, and of windows of
    one text all but the first.

    Args:
      text: n windows of one length.
      nats: [n, length].
      num_scored: [n], how many of the last characters of each are scored.
      positions: [n], of the first character of each in the text.
    """
    mean = nats.sum(1) / np.maximum(num_scored, 1)
    whole = np.flatnonzero(num_scored >= num_scored.max() / 2)
    whole = np.array([*{text[i]: i for i in whole[::-1].tolist()}.values()][::-1])
    order = whole[np.argsort(-mean[whole], kind='stable')]
    count = min(WINDOWS, max(1, len(order) // 2))
    groups = {'Least likely': order[:count], 'Most likely': order[count:][-count:][::-1]}
    return [
        _window(f'{name} window {rank}', text[i], nats[i], int(num_scored[i]), int(positions[i]))
        for name, group in groups.items()
        for rank, i in enumerate(group, 1)
    ]


def _window(name: str, text: str, nats: np.ndarray, num_scored: int, position: int) -> Passage:
    first = len(text) - num_scored
    shown = slice(max(0, first - BEFORE), max(0, first - BEFORE) + MAX_SHOWN)
    is_scored = np.arange(len(text)) >= first
    mean = nats.sum() / max(num_scored, 1)
    title = f'{name}, from character {position + first:,}: {mean:.2f} nats per character'
    return Passage(title, text[shown], np.where(is_scored, nats, np.nan)[shown])


def beginning(text: Sequence[str], nats: np.ndarray, num_scored: np.ndarray) -> list[Passage]:
    """Returns the beginning of a text whose characters are scored once, in n windows in order."""
    most, total = COLUMNS * MAX_LINES, num_scored.sum()
    parts = [each[len(each) - count :] for each, count in zip(text, num_scored, strict=True)]
    whole = np.concatenate(
        [each[len(each) - n :] for each, n in zip(nats, num_scored, strict=True)]
    )
    shown = ''.join(parts)[:most]
    title = f'Mean of {counted(total, "character")}: {whole.sum() / max(total, 1):.2f} nats'
    return [Passage(title, shown, whole[:most], has_lines=True)]


def items(text: Sequence[str], nats: np.ndarray, in_order: bool) -> list[Passage]:
    """Returns the least likely and the most likely items, or the first ones in their order.

    Each begins a line, after its nats, and ends with the mark of its end.

    Args:
      text: n items.
      nats: [n, length], of their symbols and their ends.
      in_order: whether the first items are shown.
    """
    total = nats.sum(1)
    order = np.arange(len(total)) if in_order else np.argsort(-total, kind='stable')
    if in_order:
        groups = {f'Nats of {counted(len(order), "item")}': order[:MAX_LINES]}
    else:
        count = min(ITEMS, max(1, len(order) // 2))
        groups = {'Least likely': order[:count], 'Most likely': order[count:][-count:][::-1]}
    return [
        _listed(f'{name}: {total[group[0]]:.1f} to {total[group[-1]]:.1f} nats', text, nats, group)
        for name, group in groups.items()
        if len(group)
    ]


def _listed(title: str, text: Sequence[str], nats: np.ndarray, index: np.ndarray) -> Passage:
    """Returns the passage of some items, each with its nats before it."""
    parts, values = [], []
    for i in index.tolist():
        before, item = f'{nats[i].sum():6.1f}  ', text[i] + END
        parts += [before, item]
        values += [np.full(len(before), np.nan), nats[i, : len(item)]]
    return Passage(title, ''.join(parts), np.concatenate(values), has_lines=True)


def lines_of(passage: Passage) -> list[Line]:
    """Returns at most `MAX_LINES` lines of at most `COLUMNS`, with visible line ends and tabs."""
    lines: list[Line] = [[]]
    for character, nats in zip(passage.text, passage.nats.tolist(), strict=True):
        if len(lines[-1]) == COLUMNS:
            lines.append([])
        lines[-1].append((VISIBLE.get(character, character), nats))
        if character in ('\n', END) and passage.has_lines:
            lines.append([])
    return [line for line in lines if line][:MAX_LINES]


def figure(passages: Sequence[Passage], num_symbols: int, title: str):
    """Returns the matplotlib figure of passages.

    Args:
      passages: what is shown, one below another.
      num_symbols: size of the vocabulary: the colours end at the nats of a uniform guess.
      title: of the figure.
    """
    from matplotlib.figure import Figure  # slow import

    rows = [row for each in passages for row in (each.title, *lines_of(each))]
    with figures.style():
        columns = columns_of(rows)
        width = CELL[0] * columns + 1.5
        title = title_lines(title, width)
        height = CELL[1] * max(len(rows), MIN_ROWS) + 0.45 + 0.25 * len(title.splitlines())
        whole = Figure(figsize=(width, height), layout='constrained')
        axis = whole.subplots()
        _draw(whole, axis, rows, columns, math.log(num_symbols))
        whole.suptitle(title)
        return whole


def columns_of(rows: list[str | Line]) -> int:
    """Returns the width of the longest row, in characters of a line."""
    widths = [len(row) * (TITLE_CELL if isinstance(row, str) else 1) for row in rows]
    return max(MIN_COLUMNS, math.ceil(max(widths)))


def _draw(whole, axis, rows: list[str | Line], columns: int, uniform: float) -> None:
    import matplotlib

    nats = np.full((len(rows), columns), np.nan)
    for i, row in enumerate(rows):
        if not isinstance(row, str):
            nats[i, : len(row)] = [value for _, value in row]
    image = axis.imshow(nats, cmap=CMAP, vmin=0, vmax=uniform, aspect='auto')
    is_dark = nats > 0.6 * uniform
    has_glyph = _font(matplotlib).get_char_index
    options = dict(parse_math=False, in_layout=False)
    for i, row in enumerate(rows):
        if isinstance(row, str):
            axis.text(-0.5, i + 0.3, row, weight='bold', fontsize='small', **options)
            continue
        for j, (character, value) in enumerate(row):
            is_shown = character.isprintable() and has_glyph(ord(character))
            colour = 'white' if is_dark[i, j] else '0.45' if math.isnan(value) else 'black'
            shown = character if is_shown else UNKNOWN
            if shown != ' ':
                axis.text(
                    j, i + 0.28, shown, family='monospace', ha='center', color=colour, **options
                )
    axis.set_ylim(max(len(rows), MIN_ROWS) - 0.5, -0.5)
    axis.set_axis_off()
    figures.colour_bar(whole, image, axis, extend='max', label=LABEL, aspect=30)


def _font(matplotlib):
    from matplotlib import font_manager

    return font_manager.get_font(font_manager.findfont('DejaVu Sans Mono'))
