"""Operations on arrays that may fill most of the memory: in pieces, and in place where possible."""

from collections.abc import Iterator

import numpy as np

SMALL = 2**26  # bytes: below, a copy is made, which is simpler and faster
PIECE = 2**22  # values; affects only memory use
SHARE = 16  # a piece of an array in place is at most this part of it


def pieces(x: np.ndarray) -> Iterator[np.ndarray]:
    """Yields x [n, ...] as consecutive groups of rows, each of about PIECE values."""
    rows = max(1, PIECE // max(1, x[:1].size))
    for start in range(0, len(x), rows):
        yield x[start : start + rows]


def as_type(x: np.ndarray, dtype: type) -> np.ndarray:
    """Returns x in another type. A large x is overwritten if its values become narrower."""
    dtype = np.dtype(dtype)
    if x.dtype == dtype:
        return x
    if x.nbytes <= SMALL or dtype.itemsize > x.itemsize or not _may_be_overwritten(x):
        return x.astype(dtype)
    wide = x.reshape(-1)
    narrow = wide.view(dtype)[: wide.size]
    for start in range(0, wide.size, PIECE):  # a value is written where others were read before
        narrow[start : start + PIECE] = wide[start : start + PIECE].astype(dtype)
    return narrow.reshape(x.shape)


def reordered(x: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Returns x[order] for a permutation `order`. A large x is overwritten."""
    if x.nbytes <= SMALL or not _may_be_overwritten(x):
        return x[order]
    values = x.reshape(len(x), -1).view(np.uint8)  # a piece is some bytes of every row
    width = max(1, values.shape[1] // SHARE)
    width += -width % x.itemsize if width > x.itemsize else 0  # whole values are moved faster
    for start in range(0, values.shape[1], width):
        values[:, start : start + width] = values[order, start : start + width]
    return x


def _may_be_overwritten(x: np.ndarray) -> bool:
    return x.flags.c_contiguous and x.flags.writeable and not isinstance(x, np.memmap)
