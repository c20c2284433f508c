"""Where examples come from: the file or array, and the row in it, of each example of each split."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

SEPARATOR = '\0'  # no file name holds it
ROW = 'row'  # array of a split, while a source arranges it


class Origins(NamedTuple):
    """The origin of examples. Memory: an integer per example, and the names as one text.

    names: of the files or arrays, joined by `SEPARATOR`.
    starts: [names], the number of the first row of each; None: each name has one row.
    rows: {split: [n], the number of each example}, counted over all names.
    suffix: of the names of results, if these are not of the test split of the run.
    """

    names: str
    starts: np.ndarray | None
    rows: dict[str, Int[np.ndarray, 'n']]
    suffix: str = ''

    def of(self, split: str, index: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Returns the 'file' [n] and the 'row' [n] in it of a split, or of the rows at `index`."""
        number = np.asarray(self.rows[split])
        number = number if index is None else number[index]
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
    ends = [rows.max() + 1 for rows in map(np.asarray, first.rows.values()) if rows.size]
    offset = int(max([starts[0][-1] + 1, *ends]))
    shifted = {split: np.asarray(rows) + offset for split, rows in second.rows.items()}
    return Origins(
        SEPARATOR.join([first.names, second.names]),
        np.concatenate([starts[0], starts[1] + offset]),
        {**first.rows, **shifted},
        second.suffix,
    )


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
