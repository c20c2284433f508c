"""Training on the validation examples too (`config.data.train_on_valid`), as a refit does.

The validation split stays what it is, and training gets its examples as well: what was chosen on
validation is then trained on all the data that are not reported on (Goodfellow, Bengio and
Courville 2016, section 7.8, algorithm 7.2).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from atelier.errors import UserError
from atelier.memory import total_bytes

SUFFIX = ', and valid is part of train'  # of the description of how splits were made


def has_valid(data: Mapping[str, Any] | ConfigDict) -> bool:
    """Whether training has the validation examples, by a `config.data` or what a run recorded."""
    is_text = data.get('name') == 'text'
    return bool(data.get('train_on_valid', False)) or is_text and data.get('valid_share') == 0


def described(origin: str) -> str:
    """Returns how splits were made ('' if they were given), and that valid is part of train."""
    return origin + SUFFIX if origin else SUFFIX.removeprefix(', and ')


def joined(splits: dict[str, dict[str, np.ndarray]]) -> dict[str, dict[str, np.ndarray]]:
    """Returns splits whose 'train' has the examples of 'valid' too, after its own.

    If the two were cut from one array, the joined split is a view of it, in the order of that
    array, so that memory-mapped data stay on disk. A split by content cuts validation from before
    training, which then comes second.

    Raises:
      UserError: a copy of the examples does not fit into memory.
    """
    first, second = splits['train'], splits['valid']
    if all(_is_followed_by(second[name], first[name]) for name in first):
        first, second = second, first
    return {**splits, 'train': {name: _joined(first[name], second[name]) for name in first}}


def _joined(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    if _is_followed_by(first, second):
        shape = (len(first) + len(second), *first.shape[1:])
        return np.lib.stride_tricks.as_strided(first, shape, first.strides, writeable=False)
    needed, memory = first.nbytes + second.nbytes, total_bytes()
    if needed > memory:
        raise UserError(
            f'config.data.train_on_valid: training and validation take {needed / 1e9:,.1f} GB, and '
            f'there are {memory / 1e9:,.1f} GB of memory: put the examples of both into one split'
        )
    return np.concatenate([first, second])


def _is_followed_by(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two arrays are neighbouring slices of one array."""
    end = first.__array_interface__['data'][0] + first.nbytes
    return (
        first.base is not None
        and first.base is second.base
        and (first.dtype, first.strides) == (second.dtype, second.strides)
        and first.flags.c_contiguous
        and end == second.__array_interface__['data'][0]
    )
