"""Leaves classes out of training and validation, so that they are novel in the test split."""

import pathlib

import numpy as np

from atelier.data.cache import cached, create_array
from atelier.data.checksums import digest
from atelier.errors import UserError

SHRINK = ('train', 'valid')  # 'test' stays whole
CHUNK = 1024  # examples; affects only memory use

Split = dict[str, np.ndarray]


def leave_out(
    splits: dict[str, Split], classes: tuple, num_classes: int | None
) -> dict[str, Split]:
    """Removes the examples of `classes` from 'train' and 'valid', keeping the order.

    Memory-mapped splits stay on disk: the remaining rows are cached once and memory-mapped again.

    Args:
      splits: 'train', 'valid' and 'test'.
      classes: `config.data.without_classes`.
      num_classes: number of classes of the data; None if they have no labels.

    Raises:
      UserError: there are no labels, a class does not exist, or 'train' or 'valid' would be empty.
    """
    if not classes:
        return splits
    field = f'config.data.without_classes={",".join(map(str, classes))}'
    if num_classes is None:
        raise UserError(f'{field}: these data have no labels')
    if not all(type(label) is int and 0 <= label < num_classes for label in classes):
        raise UserError(f'{field}: classes are 0 to {num_classes - 1}')
    kept = dict(splits)
    for name in SHRINK:
        index = np.flatnonzero(~np.isin(splits[name]['label'], classes))
        if not len(index):
            raise UserError(f'{field}: no {name} example is left')
        kept[name] = rows_of(splits[name], index, f'{name}-without-{"-".join(map(str, classes))}')
    return kept


def rows_of(split: Split, index: np.ndarray, key_prefix: str) -> Split:
    """Returns the rows of a split at these indices; if it is memory-mapped, from the cache."""
    if not any(isinstance(array, np.memmap) for array in split.values()):
        return {name: array[index] for name, array in split.items()}

    def build(folder: pathlib.Path) -> None:
        for name, array in split.items():
            kept = create_array(folder, name, (len(index), *array.shape[1:]), array.dtype)
            for start in range(0, len(index), CHUNK):
                kept[start : start + CHUNK] = array[index[start : start + CHUNK]]

    digests = [digest(array).hex() for _, array in sorted(split.items())]
    return cached('-'.join([key_prefix, *digests]), build)[1]
