"""Files of a run or a sweep: whole or absent, never behind a symbolic link, JSON with a checksum.

Every file of results is written by `whole`. So after a kill, or when the disk is full, the path
holds either the old file or the new one, complete.
"""

import contextlib
import errno
import json
import math
import os
import pathlib
import stat
import zipfile
import zlib
from collections.abc import Collection, Iterator
from typing import Any, BinaryIO

import numpy as np

from atelier import leftovers
from atelier.errors import UserError, writing
from atelier.log import log

MAX_BYTES = 1 << 24  # of a JSON file; the largest hold the source of a config or many metrics
MAX_DEPTH = 12  # of its lists and objects
BLOCK = 1 << 20  # bytes
CHECKSUM = 'checksum'  # field of a JSON file
CHECKPOINTS = 'checkpoints'  # in the folder of a run: the user may move them to another disk
_reported: set[pathlib.Path] = set()  # files without a checksum


@contextlib.contextmanager
def whole(path: pathlib.Path) -> Iterator[BinaryIO]:
    """Yields a binary file that becomes `path` at the end; creates its folder if needed.

    The parent of that folder must exist: a run that was deleted while it trains is not recreated.

    Raises:
      UserError: the file cannot be written, or `path` is a symbolic link, a pipe, a socket or a
        device.
    """
    with writing(path):
        check_entry(path)
        path.parent.mkdir(exist_ok=True)
        descriptor, temporary = leftovers.new_file(path.parent)
        try:
            with open(descriptor, 'wb') as file:
                yield file
                file.flush()
                os.fsync(descriptor)  # a full disk is noticed here, before the old file is replaced
                os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes UTF-8, without changing the line ends; raises as `whole`."""
    with whole(path) as file:
        file.write(text.encode())


def write_arrays(path: pathlib.Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes an .npz; raises as `whole`."""
    with whole(path) as file, zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():  # numpy.savez takes no array called 'file'
            with archive.open(f'{name}.npy', 'w', force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def write_json(path: pathlib.Path, value: dict[str, Any]) -> None:
    """Writes a JSON object with a checksum of its content; raises as `whole`.

    Numbers that are not finite become null, because JSON has no NaN.
    """
    value = with_null(value)
    text = json.dumps({**value, CHECKSUM: _checksum(value)}, indent=2, allow_nan=False)
    write_text(path, text + '\n')


def with_null(content: Any) -> Any:
    """Returns content for JSON, in which null replaces numbers that are not finite."""
    if isinstance(content, dict):
        return {name: with_null(part) for name, part in content.items()}
    if isinstance(content, list | tuple):
        return [with_null(part) for part in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """Returns the object that `write_json` wrote, without its checksum.

    A file of an earlier version has no checksum, which is logged once.

    Raises:
      UserError: the content does not match the checksum.
      ValueError: as `read_object`.
      OSError: it cannot be read.
    """
    return _without_checksum(path, read_object(path))


def read_object(path: pathlib.Path, most: int = MAX_BYTES) -> dict[str, Any]:
    """Returns the JSON object in a file.

    Raises:
      ValueError: as `parsed`.
      OSError: the file cannot be read.
    """
    with open_regular(path) as file:
        return parsed(file.read(most + 1), most)


def parsed(raw: bytes, most: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> dict[str, Any]:
    """Returns the object of a JSON text.

    Raises:
      ValueError: the text is not a JSON object, or it is longer than `most` bytes or deeper than
        `max_depth`.
    """
    if len(raw) > most:
        raise ValueError(f'it is larger than {most:,} bytes')
    try:
        value = json.loads(raw.decode(), parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError('it is nested too deeply') from error
    if not isinstance(value, dict):
        raise ValueError('it holds no object')
    if not _is_shallow(value, max_depth):
        raise ValueError(f'it is nested more than {max_depth} deep')
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f'{name} is not JSON')


def _is_shallow(content: Any, depth: int) -> bool:
    if not isinstance(content, dict | list):
        return True
    parts = content.values() if isinstance(content, dict) else content
    return depth > 0 and all(_is_shallow(part, depth - 1) for part in parts)


def _without_checksum(path: pathlib.Path, value: dict[str, Any]) -> dict[str, Any]:
    """Returns the content of a JSON file without its checksum, after checking that the two match.

    Raises:
      UserError: the content does not match the checksum.
    """
    checksum = value.pop(CHECKSUM, None)
    if checksum is None:
        if path not in _reported:
            _reported.add(path)
            log.info('%s has no checksum, because an earlier version wrote it', path)
    elif checksum != _checksum(value):
        raise UserError(f'{path} was changed after it was written: its checksum differs')
    return value


def open_regular(path: pathlib.Path) -> BinaryIO:
    """Opens a file to read its bytes. It never waits, as the opening of a pipe would.

    Raises:
      OSError: the file cannot be read, or it is not a regular file.
    """
    return os.fdopen(descriptor_of_regular(path), 'rb')


def descriptor_of_regular(path: str | pathlib.Path) -> int:
    """Opens a file as `open_regular`; returns its descriptor, which the caller closes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, 'it is not a regular file', str(path))
    return descriptor


def check_entries(folder: pathlib.Path, trusted: Collection[pathlib.Path] | None = None) -> None:
    """Refuses whatever is neither a regular file nor a folder, at any depth inside `folder`.

    Through a symbolic link, files elsewhere would be used. A command that opens a pipe waits for
    its other end. The folder itself may be a link. Nothing is opened except folders.

    Args:
      folder: the folder of a run or a sweep.
      trusted: for a run, the paths that the user trusts: its `checkpoints` may be a link to one of
        these folders.

    Raises:
      UserError: names the first such entry.
    """
    waiting = [folder]
    while waiting:
        for entry in _entries(waiting.pop()):
            path, is_link = pathlib.Path(entry), entry.is_symlink()
            if is_link and (trusted is None or path != folder / CHECKPOINTS):
                raise _is_link(path)
            if is_link:
                _check_target(path, trusted)
            if entry.is_dir(follow_symlinks=is_link):
                waiting.append(path)
            elif not entry.is_file(follow_symlinks=False):
                check_entry(path)


def _check_target(link: pathlib.Path, trusted: Collection[pathlib.Path]) -> None:
    """Raises UserError unless the link leads to a folder that the user trusts."""
    target = pathlib.Path(os.path.realpath(link))
    if not target.is_dir():
        raise UserError(f'{link} is a link to {target}, which is no folder: remove the link')
    if target not in trusted:
        raise UserError(f'{link} is a link to {target}: if you made it, add --trust={target}')


def check_entry(path: pathlib.Path, may_be_link: bool = False) -> None:
    """Raises UserError if `path` is a pipe, a socket or a device, or a symbolic link.

    With `may_be_link`, a link is accepted unless its target is a pipe, a socket or a device.
    """
    if path.is_symlink() and not may_be_link:
        raise _is_link(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        raise UserError(f'{path} is neither a regular file nor a folder: remove it')


def checksum_of(path: pathlib.Path) -> str | None:
    """Returns a checksum of a file's bytes, or None if it cannot be read."""
    total = 0
    try:
        with open_regular(path) as file:
            while block := file.read(BLOCK):
                total = zlib.crc32(block, total)
    except OSError:
        return None
    return f'{total:08x}'


def _entries(folder: pathlib.Path) -> list[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:  # another process removed the folder meanwhile, or it cannot be read
        return []


def _is_link(path: pathlib.Path) -> UserError:
    return UserError(
        f'{path} is a symbolic link: a run or a sweep uses only files inside its folder; remove '
        'the link'
    )


def _checksum(value: dict[str, Any]) -> str:
    """Returns a checksum of the content that does not depend on the order of its keys or on line
    breaks.
    """
    plain = json.loads(json.dumps(value))  # tuples become lists, and all keys become strings
    return f'{zlib.crc32(json.dumps(plain, sort_keys=True).encode()):08x}'
