"""Numeric arrays of a MATLAB 5 file, read without any of its other types.

A file is a header of 128 bytes and elements. An element is a type, a size and content; content of
the type COMPRESSED is a zlib stream of another element. A MATRIX has four elements: its class, its
shape, its name and its values, column by column. Structures, objects and functions are refused.
"""

import math
import os
import pathlib
import struct

import numpy as np

from atelier.data.original.bounded import (
    MAX_RATIO,
    Inflated,
    Stream,
    check_size,
    naming_damage,
    read_array,
)
from atelier.errors import UserError
from atelier.files import open_regular

MATRIX, COMPRESSED = 14, 15
TYPES = {1: 'i1', 2: 'u1', 3: 'i2', 4: 'u2', 5: 'i4', 6: 'u4', 7: 'f4', 9: 'f8', 12: 'i8', 13: 'u8'}
NUMERIC = range(6, 16)  # classes of matrices: double, single, and integers of 8 to 64 bits
COMPLEX = 0x0800  # flag of a matrix
MAX_FIELD = 1024  # bytes of the shape or the name


def read_matrices(path: pathlib.Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Returns the arrays of these names, in Fortran order, with the type in which they are stored.

    Raises:
      UserError: the file is damaged or of another format, or it lacks an array.
    """
    arrays = {}
    with naming_damage(path), open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        header = file.read(128)
        if len(header) < 128 or header[124:128] not in (b'\0\1IM', b'\1\0MI'):
            raise UserError(f'{path} is not a MATLAB 5 file: fetch it again')
        order = '<' if header[126:] == b'IM' else '>'
        while (start := file.tell()) < size:
            kind, length = struct.unpack(f'{order}2I', _exactly(file, 8))
            if length > size - start - 8:
                raise UserError(
                    f'cannot read {path}: an array declares {length:,} bytes and has fewer'
                )
            if kind == COMPRESSED:
                stream = Inflated(file, length)
                kind, unpacked_length = struct.unpack(f'{order}2I', _exactly(stream, 8))
                most = min(unpacked_length, length * MAX_RATIO)
            else:
                stream, most = file, length
            if kind == MATRIX:
                name, array = _matrix(stream, most, order, names, path)
                if array is not None:
                    if name in arrays:
                        raise UserError(f'{path} has two arrays {name}: fetch it again')
                    arrays[name] = array
            file.seek(start + 8 + length)
    missing = [name for name in names if name not in arrays]
    if missing:
        raise UserError(f'{path} has no array {" and no ".join(missing)}: fetch it again')
    return arrays


def _matrix(
    stream: Stream, most: int, order: str, names: tuple[str, ...], path: pathlib.Path
) -> tuple[str, np.ndarray | None]:
    """Returns the name of the next matrix, and its values if it is one of `names`."""
    _, flags = _small(stream, order)
    _, dims = _small(stream, order)
    _, name = _small(stream, order)
    name = name.decode('latin-1')
    if name not in names:
        return name, None
    kind = struct.unpack(f'{order}I', flags[:4])[0]
    if kind & 0xFF not in NUMERIC or kind & COMPLEX:
        raise UserError(f'cannot read {path}: {name} is not an array of real numbers')
    shape = struct.unpack(f'{order}{len(dims) // 4}i', dims)
    code, length, content = _tag(stream, order)
    if code not in TYPES or not shape or min(shape) < 0:
        raise UserError(f'cannot read {path}: {name} is not an array of real numbers')
    dtype = np.dtype(order + TYPES[code])
    if length != math.prod(shape) * dtype.itemsize:
        raise UserError(f'cannot read {path}: {name} of shape {shape} has {length:,} bytes')
    check_size(path, length, most)
    raw = np.frombuffer(content, np.uint8) if content else read_array(stream, length, path)
    if isinstance(stream, Inflated):
        while stream.read(1 << 16):  # at the end its checksum is compared
            pass
    return name, raw.view(dtype).reshape(shape, order='F')


def _small(stream: Stream, order: str) -> tuple[int, bytes]:
    """Returns the type and the content of an element of at most MAX_FIELD bytes."""
    code, length, content = _tag(stream, order)
    if content is None:
        if length > MAX_FIELD:
            raise ValueError(f'a name or a shape of {length:,} bytes')
        content = _exactly(stream, length + -length % 8)[:length]
    return code, content


def _tag(stream: Stream, order: str) -> tuple[int, int, bytes | None]:
    """Returns type, size, and, if it is at most 4 bytes and lies in the tag, content."""
    raw = _exactly(stream, 8)
    code, length = struct.unpack(f'{order}2I', raw)
    if code >> 16:
        code, length = code & 0xFFFF, code >> 16
        if length > 4:
            raise ValueError(f'a small element of {length} bytes')
        return code, length, raw[4 : 4 + length]
    return code, length, None


def _exactly(stream: Stream, size: int) -> bytes:
    content = b''
    while len(content) < size:
        block = stream.read(size - len(content))
        if not block:
            raise EOFError('it ends too early')
        content += block
    return content
