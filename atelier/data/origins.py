"""Where examples come from: the file or array, and the row in it, of each example of each split."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

SEPARATOR = '\0'  # no file name holds it
ROW = 'row'  # array of a split, while a source arranges it


class Ranges:
    """Numbers that are a few ranges of consecutive ones, without memory for each number.

    `starts` [ranges] are the first numbers, `sizes` [ranges] how many there are of each; `size` of
    them count, from the first.
    """

    def __init__(self, starts: np.ndarray, sizes: np.ndarray, size: int):
        self._starts, self._size = starts, size
        self._before = np.cumsum([0, *sizes[:-1]])
        self.end = int(np.max(np.asarray(starts) + sizes, initial=0))  # above all numbers

    def __len__(self) -> int:
        """Returns the number of numbers."""
        return self._size

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        """Returns the numbers at indices from 0 to below the size."""
        index = np.asarray(index)
        which = np.searchsorted(self._before, index, 'right') - 1
        return self._starts[which] + index - self._before[which]

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        """Returns all numbers."""
        return self[np.arange(self._size)].astype(dtype or np.int64)


class Origins(NamedTuple):
    """The origin of examples. Memory: an integer per example, and the names as one text.

    names: of the files or arrays, joined by `SEPARATOR`.
    starts: [names], the number of the first row of each; None: each name has one row.
    rows: {split: [n], the number of each example}, counted over all names; arrays or `Ranges`.
    suffix: of the names of results, if these are not of the test split of the run.
    """

    names: str
    starts: np.ndarray | None
    rows: dict[str, Int[np.ndarray, 'n'] | Ranges]
    suffix: str = ''

    def of(self, split: str, index: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Returns the 'file' [n] and the 'row' [n] in it of a split, or of the rows at `index`."""
        rows = self.rows[split]
        number = np.asarray(rows) if index is None else rows[np.asarray(index)]
        names = np.array(self.names.split(SEPARATOR))
        if self.starts is None:
            return {'file': names[number], ROW: np.zeros(len(number), np.int64)}
        name = np.searchsorted(self.starts, number, 'right') - 1
        return {'file': names[name], ROW: number - self.starts[name]}


def named(names: Sequence[str], sizes: Sequence[int] | None = None) -> Origins:
    """Returns origins without rows: `sizes` are the rows of each name; None: one row each."""
    starts = None if sizes is None else np.cumsum([0, *sizes[:-1]])
    return Origins(SEPARATOR.join(names), starts, {})


def joined(first: Origins, second: Origins) -> Origins:
    """Returns the origins of the splits of both; a split that both have is that of the second."""
    starts = [_starts(each) for each in (first, second)]
    offset = max([int(starts[0][-1]) + 1, *map(_end, first.rows.values())])
    shifted = {split: np.asarray(rows) + offset for split, rows in second.rows.items()}
    return Origins(
        SEPARATOR.join([first.names, second.names]),
        np.concatenate([starts[0], starts[1] + offset]),
        {**first.rows, **shifted},
        second.suffix,
    )


def _end(rows: np.ndarray | Ranges) -> int:
    """Returns a number above all of these."""
    return rows.end if isinstance(rows, Ranges) else int(np.max(rows, initial=-1)) + 1


def _starts(origins: Origins) -> np.ndarray:
    if origins.starts is None:
        return np.arange(1 + origins.names.count(SEPARATOR))
    return np.asarray(origins.starts)


def of_splits(name: str, sizes: dict[str, int]) -> Origins:
    """Returns the origins of data whose splits are in no file: 'NAME SPLIT', and the index."""
    origins, first = named([f'{name} {split}' for split in sizes], [*sizes.values()]), 0
    rows = {}
    for split, size in sizes.items():
        rows[split] = np.arange(first, first + size)
        first += size
    return origins._replace(rows=rows)


def numbered(splits: dict[str, dict[str, np.ndarray]]) -> dict[str, dict[str, np.ndarray]]:
    """Returns the splits with an array `ROW`, which counts the examples over all of them."""
    rows = of_splits('', {name: len(split['x']) for name, split in splits.items()}).rows
    return {name: {**split, ROW: rows[name]} for name, split in splits.items()}


def taken_out(
    splits: dict[str, dict[str, np.ndarray]], origins: Origins | None
) -> tuple[dict[str, dict[str, np.ndarray]], Origins | None]:
    """Returns the splits without `ROW`, and the origins with these rows."""
    if origins is None or not all(ROW in split for split in splits.values()):
        return splits, origins
    rows = {name: split[ROW] for name, split in splits.items()}
    without = {
        name: {key: array for key, array in split.items() if key != ROW}
        for name, split in splits.items()
    }
    return without, origins._replace(rows=rows)
