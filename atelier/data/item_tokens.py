"""Items as tokens: the vocabulary, events, and packed rows."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Integer

from atelier.data import item_packing
from atelier.data.items import END
from atelier.data.text import NUM_POINTS
from atelier.errors import UserError
from atelier.log import counted, listed

# tokens of a packed row, if no length is set, no item is longer, and there are enough rows
CONTEXT = 256
FEWEST_ROWS = 64  # for which there are enough
FULL = 0.97  # share of tokens in packed rows that belong to items, if it can be reached
LONGER = 1.125, 4  # steps to longer rows that may be fuller, and the longest
MAX_SHOWN = 10  # symbols that a note names


class Encoded(NamedTuple):
    """Tokens of all items of all files, one after the other: [tokens], without ends."""

    values: np.ndarray
    first: Int[np.ndarray, 'items']
    sizes: Int[np.ndarray, 'items']  # tokens of each item, without its end


def encoded(
    texts: list[str], index: dict[str, np.ndarray], noun: str
) -> tuple[Encoded, str, dict[str, np.ndarray], tuple[str, ...]]:
    """Returns tokens, symbols, the splits without test items of other symbols, and a note on them.

    Args:
      texts: all items.
      index: of the items of each split.
      noun: what an item is called.

    Raises:
      UserError: no test item would be left.
    """
    sizes = np.fromiter(map(len, texts), np.int64, len(texts))
    first = np.cumsum(sizes) - sizes
    points, is_known = points_of(''.join(texts)), np.zeros(NUM_POINTS, bool)
    is_used = np.ones(len(texts), bool)
    is_used[index['test']] = False
    is_known[points[np.repeat(is_used, sizes)]] = True
    unknown = ~is_known[points]
    known = np.flatnonzero(is_known)
    symbols = END + ''.join(map(chr, known))
    index_of = np.zeros(NUM_POINTS, _dtype(symbols))
    index_of[known] = np.arange(1, len(symbols))
    tokens = Encoded(index_of[points], first, sizes)
    if not unknown.any():
        return tokens, symbols, index, ()
    is_foreign = np.add.reduceat(unknown, first) > 0
    test = index['test'][~is_foreign[index['test']]]
    others = [repr(chr(point)) for point in np.unique(points[unknown]).tolist()]
    note = (
        f'{counted(int(is_foreign.sum()), f"test {noun}")} left out, with symbols that training '
        f'and validation lack: {listed(others, MAX_SHOWN)}'
    )
    if not len(test):
        raise UserError(f'the test split is empty: {note}')
    return tokens, symbols, {**index, 'test': test}, (note,)


def encoded_as(
    texts: list[str], symbols: str, size: int, names: list[str]
) -> Integer[np.ndarray, 'rows {size}']:
    """Returns texts as events of a vocabulary.

    Args:
      texts: none of them is empty.
      symbols: of the vocabulary, whose first is the end.
      size: of an event, max_length + 1.
      names: what messages call each of the texts.

    Raises:
      UserError: names the first text that is too long or has another symbol.
    """
    sizes = np.fromiter(map(len, texts), np.int64, len(texts))
    if sizes.max() >= size:
        i = int(np.argmax(sizes >= size))
        more = f' ({counted(int(np.sum(sizes >= size)), "item")} of more)'
        raise UserError(
            f'{names[i]} has {sizes[i]:,} symbols, and items have at most {size - 1}{more}: leave '
            'it out or shorten it'
        )
    known, first = np.array([ord(symbol) for symbol in symbols]), np.cumsum(sizes) - sizes
    index_of = np.zeros(NUM_POINTS, _dtype(symbols))
    index_of[known] = np.arange(len(symbols))
    points = points_of(''.join(texts))
    tokens = Encoded(index_of[points], first, sizes)
    if not tokens.values.all():
        position = int(np.argmin(tokens.values != 0))
        name = names[int(np.searchsorted(first, position, 'right')) - 1]
        raise UserError(
            f'{name} has {chr(points[position])!r}, which is no symbol of the run: it has '
            f'{repr(symbols[1:])[1:-1]}'
        )
    return events(tokens, np.arange(len(texts)), size - 1)


def points_of(text: str) -> np.ndarray:
    """Returns the code points of a text, as bytes if they are ASCII."""
    if text.isascii():
        return np.frombuffer(text.encode('ascii'), np.uint8)
    return np.frombuffer(text.encode('utf-32-le'), np.uint32)


def _dtype(symbols: str) -> type:
    return np.uint8 if len(symbols) <= 256 else np.int32


def events(tokens: Encoded, index: Int[np.ndarray, 'rows'], length: int) -> np.ndarray:
    """Returns items [rows, length + 1], each with its end and padding."""
    size = length + 1
    to = size * np.arange(len(index))
    first, sizes = tokens.first[index], tokens.sizes[index]
    return item_packing.spread(tokens.values, first, sizes, to, size * len(index)).reshape(-1, size)


def packed(
    tokens: Encoded, index: Int[np.ndarray, 'items'], length: int, context: int, num_pieces: int
) -> np.ndarray:
    """Returns rows of several items.

    Args:
      tokens: of all items.
      index: of those that are packed.
      length: most symbols of an item.
      context: tokens of a row; 0: as `_row_length`.
      num_pieces: 0, or the number of rows, which are then at least `context` long.

    Raises:
      UserError: a row is shorter than the longest item.
    """
    sizes = tokens.sizes[index]
    if num_pieces:
        where, size = item_packing.pack_into(sizes + 1, num_pieces, max(context, length + 1))
    else:
        size = context or _row_length(sizes + 1, length + 1)
        if size < length + 1:
            raise UserError(
                f'config.data.context={size}: a packed row needs at least {length + 1} tokens, for '
                f'an item of {length} symbols and its end; 0 chooses a length'
            )
        where = item_packing.pack(sizes + 1, size)
    to = where.row * size + where.position
    total = where.num_rows * size
    x = item_packing.spread(tokens.values, tokens.first[index], sizes, to, total)
    return x.reshape(-1, size)


def _row_length(sizes: Int[np.ndarray, 'items'], least: int) -> int:
    """Returns a number of tokens of a row, at least `least`, into which items pack well.

    It is the first that makes rows as full as `FULL`, or else the one that makes them fullest, of
    those that leave `FEWEST_ROWS` rows.
    """
    total = int(sizes.sum())
    first = max(least, min(CONTEXT, total // FEWEST_ROWS))
    step, most = LONGER
    fill_of, size = {}, first
    while size <= most * first:
        num_rows = item_packing.pack(sizes, size).num_rows
        if num_rows < FEWEST_ROWS and fill_of:
            break
        fill_of[size] = total / (size * num_rows)
        if fill_of[size] >= FULL:
            return size
        size = math.ceil(step * size)
    return max(fill_of, key=fill_of.get)
