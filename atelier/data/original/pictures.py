"""The pictures of a well-known set as its files hold them, in their published order."""

import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Integer, UInt8

from atelier.data.original.known import SETS, Known
from atelier.errors import UserError

NUM_COMPARED = 20  # labels that tell MNIST from Fashion-MNIST, whose files have the same names


class Pictures(NamedTuple):
    """Pictures x and their labels."""

    x: UInt8[np.ndarray, 'n height width channels']
    label: Integer[np.ndarray, 'n']


class EncodedPictures(NamedTuple):
    """Pictures without labels. `read(name)` returns the encoded content of one."""

    names: Sequence[str]
    read: Callable[[str], bytes]


def checked(
    known: Known, split: str, x: np.ndarray, label: np.ndarray, path: pathlib.Path
) -> Pictures:
    """Returns the pictures of a split, x [n, height, width, channels] with label [n].

    Raises:
      UserError: the shape of x or a label is not that of the set, or the labels are those of
        another set. The message names `path`.
    """
    if x.shape[1:] != known.image_shape or x.dtype != np.uint8 or not len(x):
        expected = 'x'.join(map(str, known.image_shape))
        raise UserError(
            f'{path} is not {known.name}: expected uint8 pictures [n, {expected}], got {x.dtype} '
            f'{list(x.shape)}'
        )
    check_labels(known, split, label, len(x), path)
    return Pictures(x, label)


def check_labels(
    known: Known,
    split: str,
    label: np.ndarray | None,
    count: int,
    path: pathlib.Path,
) -> None:
    """Refuses labels that are not those of the set.

    Raises:
      UserError: there is not one for each of `count` pictures, one is no class of the set, or they
        begin like those of another set. The message names `path`.
    """
    if label is None or label.shape != (count,) or label.dtype.kind not in 'iu' or not count:
        got = 'none' if label is None else f'{label.dtype} {list(label.shape)}'
        raise UserError(
            f'{path} is not {known.name}: expected {count:,} whole numbers as labels, got {got}'
        )
    if not 0 <= label.min() <= label.max() < len(known.class_names):
        raise UserError(
            f'{path} is not {known.name}: expected labels from 0 to {len(known.class_names) - 1}, '
            f'got {label.min()} to {label.max()}'
        )
    first = tuple(label[:NUM_COMPARED].tolist())
    for other in SETS:
        if split == 'train' and other.first_labels == first and other.name != known.name:
            raise UserError(
                f'{path} holds the labels of {other.name}, not of {known.name}: fetch the files '
                f'of {known.name} from {known.address}'
            )
