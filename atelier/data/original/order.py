"""Splits of pictures in the order in which TensorFlow Datasets (TFDS) stores the same set.

TFDS sorts examples by the MD5 of the name of the split followed by the key of the example. The key
is its index in the original files, or the name of its file. A validation split that is cut by order
thus has the same members, whichever way the set was read.
"""

import hashlib
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from atelier.data.decoding import ImageSplit, StoredImage
from atelier.data.original.known import SETS, Known
from atelier.errors import UserError

TFDS_SPLITS = {'train': 'train', 'valid': 'validation', 'test': 'test'}
NUM_COMPARED = 20  # labels that tell MNIST from Fashion-MNIST, whose files have the same names


def tfds_order(split: str, keys: Iterable[object]) -> list[int]:
    """Returns the indices of the examples with these keys in the order of TFDS."""
    salt = hashlib.md5(TFDS_SPLITS[split].encode())

    def digest(key: object) -> bytes:
        salted = salt.copy()
        salted.update(str(key).encode())
        return salted.digest()

    digests = [digest(key) for key in keys]
    return sorted(range(len(digests)), key=digests.__getitem__)


def reordered(images: ImageSplit, order: Sequence[int]) -> ImageSplit:
    """Returns the same pictures in another order."""
    return ImageSplit(len(order), lambda indices: images.read([order[i] for i in indices]))


def array_split(
    known: Known,
    split: str,
    x: np.ndarray,
    label: np.ndarray,
    path: pathlib.Path,
) -> ImageSplit:
    """Returns uncompressed pictures x [n, height, width, channels] in the order of TFDS.

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
    height, width, channels = known.image_shape
    header = f'P{6 if channels == 3 else 5} {width} {height} 255\n'.encode()  # PPM or PGM

    def read(indices: Sequence[int]) -> list[StoredImage]:
        return [
            StoredImage(f'{known.name} {split} {i}', header + x[i].tobytes(), int(label[i]))
            for i in indices
        ]

    return reordered(ImageSplit(len(x), read), tfds_order(split, range(len(x))))


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
