"""Classes that are left out of training and validation, so that the test split holds novel ones."""

import pathlib

import numpy as np

from atelier.data.cache import cached, create_array
from atelier.data.checksums import checksum
from atelier.errors import UserError

SHRINK = ('train', 'valid')  # 'test' stays whole
CHUNK = 1024  # examples; memory only

Split = dict[str, np.ndarray]


def leave_out(
    splits: dict[str, Split], classes: tuple, num_classes: int | None
) -> dict[str, Split]:
    """`splits` without the examples of `classes` in 'train' and 'valid', in the order they had.

    What is memory-mapped stays on disk: the rest is written to the cache once, and mapped again.

    Args:
      splits: 'train', 'valid' and 'test'.
      classes: `config.data.without_classes`.
      num_classes: of the data, None where they have no labels.

    Raises:
      UserError: there are no labels, or no such class, or nothing would be left.
    """
    if not classes:
        return splits
    field = f'config.data.without_classes={",".join(map(str, classes))}'
    if num_classes is None:
        raise UserError(f'{field}: these data have no labels')
    if not all(type(number) is int and 0 <= number < num_classes for number in classes):
        raise UserError(f'{field}: classes are 0 to {num_classes - 1}')
    kept = dict(splits)
    for name in SHRINK:
        index = np.flatnonzero(~np.isin(splits[name]['label'], classes))
        if not len(index):
            raise UserError(f'{field}: no {name} example is left')
        kept[name] = _rows(splits[name], index, f'{name}-without-{"-".join(map(str, classes))}')
    return kept


def _rows(split: Split, index: np.ndarray, what: str) -> Split:
    """The rows of a split, in memory or, if it is memory-mapped, from the cache."""
    if not any(isinstance(array, np.memmap) for array in split.values()):
        return {name: array[index] for name, array in split.items()}

    def build(folder: pathlib.Path) -> None:
        for name, array in split.items():
            kept = create_array(folder, name, (len(index), *array.shape[1:]), array.dtype)
            for start in range(0, len(index), CHUNK):
                kept[start : start + CHUNK] = array[index[start : start + CHUNK]]

    sums = [f'{checksum(array):08x}' for _, array in sorted(split.items())]
    return cached('-'.join([what, str(len(index)), *sums]), build)[1]
