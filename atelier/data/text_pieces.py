"""Splits of a text by its content: pieces of the text, each in the split that its beginning gives.

A piece ends after a line with an anchor. An anchor is a position before which `WINDOW` characters
have a hash below 2**64 / `SPACING`, if there is no other such position in the `ALONE` characters
before it. So pieces have about 1,000 characters. In a line of more than `LONG_LINE` characters, a
piece ends at the anchor itself. The split follows from the digest (`splits.file_digest`) of the
first `HEAD` characters of a piece; a piece that begins later than `HEAD` characters before the end
of the text belongs to the one before it.

So the split of a character follows from text before it and little after it: appending to a text
moves none of its characters but the last `HEAD`, and a change elsewhere moves only pieces near it.
Pieces with the same first `HEAD` characters share a split.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int

from atelier.data.splits import file_digest

SPACING = 750  # characters; if one of these constants changed, text would change its split
ALONE = 250  # characters; anchors are 750 * e**(250 / 750) = 1,047 characters apart on average
WINDOW = 32  # characters
MULTIPLIER = 0x9E3779B97F4A7C15  # of the hash: sum of code point * MULTIPLIER**distance, mod 2**64
LONG_LINE = 1000  # characters
HEAD = 64  # characters
CHUNK = 2**20  # characters; affects only memory use
NEWLINE = '\n'
Spans = Int[np.ndarray, '_ 2']  # start and end of each, in characters


def code_points(text: str, start: int, stop: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yields the code points of text[start:stop] in chunks, each with its position in the text."""
    for first in range(start, stop, CHUNK):
        yield first, _as_points(text[first : min(first + CHUNK, stop)])


def _as_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode('utf-32-le'), np.uint32)


def by_content(text: str, share: float) -> tuple[dict[str, Spans], int]:
    """Returns the spans of 'train', 'valid' and 'test', and the number of pieces.

    Neighbouring pieces of a split are one span. The spans of a split may be none.

    Args:
      text: of any length.
      share: of all digests, for each of test and validation, as `splits.hold_out_by_content`.
    """
    starts = [0, *(end for end in _ends(text) if end <= len(text) - HEAD)]
    limit = round(share * 2**64)
    spans = {'train': [], 'valid': [], 'test': []}
    before = None
    for start, stop in zip(starts, [*starts[1:], len(text)], strict=True):
        digest = file_digest(text[start : start + HEAD].encode())
        name = 'test' if digest < limit else 'valid' if digest < 2 * limit else 'train'
        if name == before:
            spans[name][-1][1] = stop
        else:
            spans[name].append([start, stop])
        before = name
    arrays = {name: np.array(each, np.int64).reshape(-1, 2) for name, each in spans.items()}
    return arrays, len(starts)


def united(*spans: Spans) -> Spans:
    """Returns spans that do not overlap in the order of the text; those that touch become one."""
    whole = np.concatenate(spans)
    whole = whole[np.argsort(whole[:, 0])]
    is_new = whole[1:, 0] != whole[:-1, 1]  # whether a span does not touch the one before it
    starts = np.concatenate([whole[:1, 0], whole[1:, 0][is_new]])
    stops = np.concatenate([whole[:-1, 1][is_new], whole[-1:, 1]])
    return np.stack([starts, stops], 1)


def _ends(text: str) -> list[int]:
    """Returns where pieces end, in ascending order."""
    ends, end_of_line = set(), 0
    for anchor in _anchors(text):
        last = anchor - 1  # may be a newline itself
        is_long = last > LONG_LINE and text.rfind(NEWLINE, last - LONG_LINE - 1, last) < 0
        if is_long:
            ends.add(anchor)
        elif anchor > end_of_line:
            end_of_line = text.find(NEWLINE, last) + 1 or len(text)  # `find` returns -1 for none
            ends.add(end_of_line)
    return sorted(ends)


def _anchors(text: str) -> Iterator[int]:
    """Yields the positions after windows of a small hash that do not follow another soon."""
    before = np.zeros(1, np.int64)
    for first in range(0, len(text), CHUNK):
        start = max(0, first - WINDOW + 1)
        is_small = _is_small(_as_points(text[start : first + CHUNK]))
        positions = np.concatenate([before, start + WINDOW + np.flatnonzero(is_small)])
        yield from positions[1:][np.diff(positions) > ALONE].tolist()
        before = positions[-1:]


def _is_small(chunk: np.ndarray) -> np.ndarray:
    """Whether the hash of each window of a chunk of code points is small: bool [windows]."""
    values, width = chunk.astype(np.uint64), 1
    while width < WINDOW:
        multiplier = np.uint64(pow(MULTIPLIER, width, 2**64))
        values = values[width:] + multiplier * values[:-width]
        width *= 2
    return values < np.uint64(2**64 // SPACING)
