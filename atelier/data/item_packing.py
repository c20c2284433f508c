"""Packs items into rows of one length, so that short items take no more room than they have.

Minimum bin slack (Gupta and Ho 1999, "A new heuristic algorithm for the one-dimensional
bin-packing problem"): each row has the longest item that is left, and those that fill the rest of
it best. Items of one length are alike, so their numbers are enough to find the rows, and a row that
can be made several times is found once. The result follows from the sizes alone.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from atelier.data.splits import fixed_order

CHUNK = 1 << 22  # tokens; affects only memory use
Sizes = Int[np.ndarray, 'items']  # tokens of each item, with its end; at least 1


class Packed(NamedTuple):
    """Where items are: the row of each, the position in it of its first token, how many rows."""

    row: Int[np.ndarray, 'items']
    position: Int[np.ndarray, 'items']
    num_rows: int


def pack(sizes: Sizes, length: int) -> Packed:
    """Packs items into rows of `length` tokens, none of which the largest item exceeds.

    The rows are in a fixed order without meaning, and so are items of one size.
    """
    order = fixed_order(len(sizes))
    order = order[np.argsort(sizes[order], kind='stable')]
    largest, counts = np.unique(sizes, return_counts=True)
    end_of = dict(zip(largest.tolist(), np.cumsum(counts).tolist(), strict=True))
    row, position = np.empty(len(sizes), np.int64), np.empty(len(sizes), np.int64)
    num_rows = 0
    for repeats, pattern in _patterns(largest.tolist(), counts.tolist(), length):
        start = 0
        for size, count in pattern:
            end = end_of[size]
            end_of[size] -= repeats * count
            items = order[end_of[size] : end]
            index = np.arange(len(items))
            row[items] = num_rows + index // count
            position[items] = start + size * (index % count)
            start += size * count
        num_rows += repeats
    return Packed(fixed_order(num_rows)[row], position, num_rows)


def _patterns(
    sizes: list[int], counts: list[int], length: int
) -> list[tuple[int, list[tuple[int, int]]]]:
    """Returns how often each kind of row occurs, and its (size, number of items), largest first.

    The sizes are ascending.
    """
    left, patterns = dict(zip(sizes, counts, strict=True)), []
    sizes = sizes[::-1]
    while sizes:
        largest = sizes[0]
        left[largest] -= 1
        pattern = _fullest(sizes, left, length - largest)
        left[largest] += 1
        pattern[largest] = pattern.get(largest, 0) + 1
        repeats = min(left[size] // count for size, count in pattern.items())
        for size, count in pattern.items():
            left[size] -= repeats * count
        sizes = [size for size in sizes if left[size]]
        patterns.append((repeats, sorted(pattern.items(), reverse=True)))
    return patterns


def _fullest(sizes: list[int], left: dict[int, int], room: int) -> dict[int, int]:
    """Returns the number of items of each size that together come closest to `room`.

    Of equal ones, those with the fewest small items.

    Args:
      sizes: descending.
      left: how many items of each size there are.
      room: in tokens.
    """
    # bit t of sums[i]: whether items of the first i sizes can have t tokens together
    sums, within = [1], (1 << (room + 1)) - 1
    for size in sizes:
        reached, more, copies = sums[-1], min(left[size], room // size), 1
        while more > 0:
            copies = min(copies, more)
            reached |= (reached << (size * copies)) & within
            more, copies = more - copies, 2 * copies
        sums.append(reached)
        if reached >> room & 1:
            break
    total, chosen = sums[-1].bit_length() - 1, {}
    for size, before in zip(sizes[len(sums) - 2 :: -1], sums[-2::-1], strict=True):
        while not before >> total & 1:
            total -= size
            chosen[size] = chosen.get(size, 0) + 1
    return chosen


def pack_into(sizes: Sizes, num_rows: int, least: int) -> tuple[Packed, int]:
    """Packs items into at most `num_rows` rows, the shortest that a search by halves finds.

    Args:
      sizes: of the items.
      num_rows: of the result.
      least: length that a row has in any case.

    Returns:
      The packed items, of `num_rows` rows, and the length of a row.
    """
    total, largest = int(sizes.sum()), int(sizes.max())
    low = max(least, largest, -(-total // num_rows))
    # into fewer rows than needed, each is filled up to less than the largest item
    high, found = max(low, -(-total // num_rows) + largest), None
    while low < high or found is None:
        middle = (low + high) // 2
        packed = pack(sizes, middle)
        if packed.num_rows <= num_rows:
            high, found = middle, packed
        else:
            low = middle + 1
    return found._replace(num_rows=num_rows), high


def spread(
    tokens: np.ndarray,
    first: Int[np.ndarray, 'items'],
    sizes: Sizes,
    to: Int[np.ndarray, 'items'],
    total: int,
) -> np.ndarray:
    """Copies pieces of an array to other positions of an array of zeros.

    Args:
      tokens: [tokens].
      first: position of the first token of each piece.
      sizes: of the pieces.
      to: where each piece begins in the result.
      total: length of the result.

    Returns:
      [total], of the type of the tokens.
    """
    result, ends = np.zeros(total, tokens.dtype), np.cumsum(sizes)
    starts = [0, *np.searchsorted(ends, np.arange(CHUNK, ends[-1:].sum(), CHUNK)), len(sizes)]
    for start, stop in zip(starts[:-1], starts[1:], strict=True):
        some = sizes[start:stop]
        within = np.arange(some.sum()) - np.repeat(np.cumsum(some) - some, some)
        source = np.repeat(first[start:stop], some) + within
        result[np.repeat(to[start:stop], some) + within] = tokens[source]
    return result
