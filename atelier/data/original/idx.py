"""MNIST and Fashion-MNIST in their original format, IDX, compressed by gzip or not.

A file has a header of big-endian integers, of 4 bytes each: 0x0801 and the number of labels, or
0x0803 and the numbers of images, rows and columns. One byte for each label or pixel follows.
"""

import math
import pathlib
import struct

import numpy as np
from jaxtyping import UInt8

from atelier.data.original.bounded import check_size, read_array, unpacked
from atelier.data.original.known import IDX_FILES, Known
from atelier.data.original.pictures import Pictures, checked
from atelier.errors import UserError

MAGIC = {1: 0x0801, 3: 0x0803}  # by the number of axes: labels, images
SPLITS = ('train', 'test')


def names(name: str) -> tuple[str, ...]:
    """Returns the names that an IDX file has after it was fetched or unpacked."""
    plain = name.removesuffix('.gz')
    return name, plain, plain.replace('-idx', '.idx')


def find(folder: pathlib.Path, known: Known) -> tuple[pathlib.Path, ...]:
    """Returns the four files in the order of `IDX_FILES`, or () if the folder has none.

    Raises:
      UserError: some are missing.
    """
    found = [
        next((folder / spelt for spelt in names(name) if (folder / spelt).exists()), None)
        for name in IDX_FILES
    ]
    missing = [name for name, file in zip(IDX_FILES, found, strict=True) if file is None]
    if len(missing) == len(IDX_FILES):
        return ()
    if missing:
        raise UserError(f'{folder} lacks {", ".join(missing)}: fetch it from {known.address}')
    return tuple(found)


def read(files: tuple[pathlib.Path, ...], known: Known) -> dict[str, Pictures]:
    """Returns the splits of the four files that `find` returned.

    Raises:
      UserError: one is damaged, or is not of this set.
    """
    splits = {}
    for split, images, labels in zip(SPLITS, files[::2], files[1::2], strict=True):
        x, label = read_idx(images, 3)[..., None], read_idx(labels, 1)
        splits[split] = checked(known, split, x, label, images if len(label) else labels)
    return splits


def read_idx(path: pathlib.Path, num_axes: int) -> UInt8[np.ndarray, '...']:
    """Returns the array of an IDX file of bytes.

    Args:
      path: of the file.
      num_axes: 3 for images [n, rows, columns], 1 for labels [n].

    Raises:
      UserError: the file has another format, or not the size that it declares.
    """
    with unpacked(path) as (stream, most):
        header = stream.read(4 + 4 * num_axes)
        if len(header) < 4 + 4 * num_axes or int.from_bytes(header[:4]) != MAGIC[num_axes]:
            kind = 'labels' if num_axes == 1 else 'images'
            raise UserError(f'{path} is not an IDX file of {kind}: fetch it again')
        shape = struct.unpack(f'>{num_axes}I', header[4:])
        check_size(path, math.prod(shape), most)
        array = read_array(stream, math.prod(shape), path)
        if stream.read(1):  # at the end of a gzip file its checksum is compared
            raise UserError(f'cannot read {path}: it has more bytes than the {shape} it declares')
    return array.reshape(shape)
