"""Opens `.npz` files of someone else: no pickles, and sizes are checked before memory is taken."""

import contextlib
import lzma
import math
import pathlib
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping

import numpy as np

from atelier.errors import UserError, reading
from atelier.memory import total_bytes

ENCRYPTED = 1  # bit of the flags of a zip member
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
UNREADABLE = (
    ValueError,
    EOFError,
    MemoryError,  # a header that declares an impossible size
    NotImplementedError,  # an unsupported compression
    tokenize.TokenError,
    SyntaxError,  # a header that is no Python literal
    RecursionError,  # a header that is nested too deeply
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
)


@contextlib.contextmanager
def open_npz(path: pathlib.Path) -> Iterator[Mapping[str, np.ndarray]]:
    """Opens an .npz, never a pickle, and reads each array when it is accessed.

    Raises:
      UserError: the file is missing or damaged, or an array holds objects.
    """
    with reading(path):
        if not path.is_file():
            raise UserError(f'config.data.path: there is no file {path}')
        if not zipfile.is_zipfile(path):
            with path.open('rb') as file:
                is_array = file.read(6) == b'\x93NUMPY'
            kind = 'one array: save it with numpy.savez(path, x=x)' if is_array else 'not an .npz'
            raise UserError(f'{path} is {kind}')
    try:
        with reading(path):
            check_members(path)
        with reading(path), np.load(path, allow_pickle=False) as arrays:
            yield arrays
    except UNREADABLE as error:
        if 'allow_pickle' in str(error):
            reason = 'it holds Python objects, which could run code: save plain numbers'
        else:
            reason = ' '.join(str(error).split()) or type(error).__name__
        raise UserError(f'cannot read {path}: {reason}') from error


def check_members(path: pathlib.Path) -> None:
    """Checks the sizes that the members of an .npz declare, before memory is allocated for them.

    Raises:
      UserError: the file is encrypted, larger than memory when it is unpacked, or a member declares
        more bytes than it has.
      Exception: one of `UNREADABLE`.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if any(member.flag_bits & ENCRYPTED for member in members):
            raise UserError(f'{path} is encrypted: save it without a password')
        total = sum(member.file_size for member in members)
        memory = total_bytes()
        if total > memory:
            raise UserError(
                f'{path} is {total / 1e9:,.1f} GB when unpacked, and there are {memory / 1e9:,.1f} '
                'GB of memory'
            )
        for member in members:
            if member.filename.endswith('.npy'):
                with archive.open(member) as file:
                    _check_header(file, member, path)


def _check_header(file: zipfile.ZipExtFile, member: zipfile.ZipInfo, path: pathlib.Path) -> None:
    version = np.lib.format.read_magic(file)
    if version not in HEADERS:  # numpy writes version 3 only for structured types
        raise UserError(
            f'cannot read {path}: {member.filename} is in version {version[0]} of the .npy format, '
            'which arrays of numbers do not need'
        )
    shape, _, dtype = HEADERS[version](file)
    declared = math.prod(shape) * dtype.itemsize
    if not dtype.hasobject and declared > member.file_size:
        raise UserError(
            f'cannot read {path}: {member.filename} declares {declared:,} bytes and has '
            f'{member.file_size:,}'
        )
