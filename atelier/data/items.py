"""Items: texts that end, such as names, molecules and tunes, each as one event or packed in rows.

The vocabulary of items begins with `END`, so that its token is `END_TOKEN`. An item of n symbols is
an event x [max_length + 1]: its n tokens, then `END_TOKEN` up to the end of the event. The first
end token belongs to the item; those after it are padding.

A packed row holds several items one after the other, each with its end token. Only the end of a row
is padding. So a row of one item is a packed row, too, and one rule reads both: an end token is
padding if it begins the row or follows another end token. There are no empty items.
"""

import numpy as np
from jaxtyping import Bool, Int, Num

from atelier.data import item_packing
from atelier.data.spec import Spec

END = '\0'  # no text has it: files with it are refused
END_TOKEN = 0


def are_items(spec: Spec) -> bool:
    """Whether an event is an item, which ends, and not a window of an endless text."""
    return spec.symbols is not None and spec.symbols.startswith(END)


def is_scored(x: Num[np.ndarray, 'rows length']) -> Bool[np.ndarray, 'rows length']:
    """Whether a token belongs to an item; false for padding."""
    is_end = np.asarray(x) == END_TOKEN
    after_end = np.pad(is_end[:, :-1], ((0, 0), (1, 0)), constant_values=True)
    return ~(is_end & after_end)


def lengths(x: Num[np.ndarray, 'rows length']) -> Int[np.ndarray, 'rows']:
    """Returns the number of tokens of each row that belong to an item, ends included."""
    return is_scored(x).sum(1)


def count(x: Num[np.ndarray, 'rows length']) -> int:
    """Returns the number of items in rows."""
    return int(np.sum(_is_end(x)))


def are_packed(x: Num[np.ndarray, 'rows length']) -> bool:
    """Whether a row holds several items or none; their length does not tell it."""
    return bool(np.any(_is_end(x).sum(1) != 1))


def _is_end(x: Num[np.ndarray, 'rows length']) -> Bool[np.ndarray, 'rows length']:
    """Whether a token is the end of an item; false for padding."""
    return is_scored(x) & (np.asarray(x) == END_TOKEN)


def unpacked(x: Num[np.ndarray, 'rows length'], symbols: str) -> list[str]:
    """Returns the items in the rows, in their order, without their ends."""
    points = np.array([ord(symbol) for symbol in symbols], '<u4')
    texts, rows = [], max(1, item_packing.CHUNK // max(1, x.shape[1]))
    for start in range(0, len(x), rows):
        tokens = np.asarray(x[start : start + rows]).astype(np.int64)
        ended = np.pad(tokens, ((0, 0), (0, 1)), constant_values=END_TOKEN)
        text = points[ended].tobytes().decode('utf-32-le')
        texts += [item for item in text.split(END) if item]
    return texts


def as_events(x: Num[np.ndarray, 'rows length'], size: int) -> Num[np.ndarray, 'items {size}']:
    """Returns the items in packed rows as events, in their order.

    Args:
      x: rows of whole items, with their ends.
      size: of an event, max_length + 1.
    """
    tokens = np.asarray(x)[is_scored(x)]
    ends = np.flatnonzero(tokens == END_TOKEN)
    first = np.append(-1, ends[:-1]) + 1
    to = size * np.arange(len(ends))
    events = item_packing.spread(tokens, first, ends - first, to, size * len(ends))
    return events.reshape(-1, size)


def num_symbols(x: Num[np.ndarray, 'rows length']) -> Int[np.ndarray, 'rows']:
    """Returns the number of symbols of the item of each row, without its end; 0 if it has none."""
    return np.maximum(lengths(x) - 1, 0)


def all_num_symbols(x: Num[np.ndarray, 'rows length']) -> Int[np.ndarray, 'items']:
    """Returns the number of symbols of each item in packed rows, in their order, without ends."""
    rows, ends = np.nonzero(_is_end(x))
    is_first = np.diff(rows, prepend=-1) > 0
    before = np.where(is_first, -1, np.roll(ends, 1))
    return ends - before - 1
