"""Files of a run or a sweep: whole or absent, never behind a symbolic link, JSON with a checksum.

Every file of results is written by `whole`. So after a kill, or when the disk is full, the path
holds either the old file or the new one, complete.
"""

import contextlib
import json
import os
import pathlib
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np

from atelier import leftovers
from atelier.errors import UserError, reading, writing
from atelier.log import log

CHECKSUM = 'checksum'  # field of a JSON file
MAY_BE_LINKS = ('checkpoints',)  # in the folder of a run: checkpoints may be on another disk
_reported: set[pathlib.Path] = set()  # files without a checksum


@contextlib.contextmanager
def whole(path: pathlib.Path) -> Iterator[BinaryIO]:
    """Yields a binary file that becomes `path` at the end; creates its folder if needed.

    The parent of that folder must exist: a run that was deleted while it trains is not recreated.

    Raises:
      UserError: the file cannot be written, or `path` is a symbolic link.
    """
    with writing(path):
        refuse_link(path)
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
    with whole(path) as file:
        np.savez_compressed(file, **arrays)


def write_json(path: pathlib.Path, value: dict[str, Any]) -> None:
    """Writes a JSON object with a checksum of its content; raises as `whole`."""
    text = json.dumps({**value, CHECKSUM: _checksum(value)}, indent=2)
    write_text(path, text + '\n')


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """Returns the object that `write_json` wrote, without its checksum.

    A file of an earlier version has no checksum, which is logged once.

    Raises:
      UserError: the content does not match the checksum.
      ValueError: the file is not a JSON object.
      OSError: it cannot be read.
    """
    try:
        value = json.loads(path.read_text(encoding='utf-8'))
    except RecursionError as error:
        raise ValueError('its brackets are nested too deeply') from error
    if not isinstance(value, dict):
        raise ValueError('it is not a JSON object')
    return without_checksum(path, value)


def without_checksum(path: pathlib.Path, value: dict[str, Any]) -> dict[str, Any]:
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


def refuse_links(folder: pathlib.Path, may_be_links: Sequence[str] = MAY_BE_LINKS) -> None:
    """Refuses a symbolic link inside `folder`, through which files elsewhere would be used.

    The folder itself may be a link, and so may those of its entries that `may_be_links` names.

    Raises:
      UserError: names the first link.
    """
    waiting, allowed = [folder], {folder / name for name in may_be_links}
    while waiting:
        for entry in _entries(waiting.pop()):
            path, is_link = pathlib.Path(entry), entry.is_symlink()
            if is_link and path not in allowed:
                raise _is_link(path)
            with reading(path):  # `is_dir` raises OSError for a link to itself
                is_folder = entry.is_dir(follow_symlinks=is_link)
            if is_folder:
                waiting.append(path)


def refuse_link(path: pathlib.Path) -> None:
    """Raises UserError if `path` is a symbolic link."""
    if path.is_symlink():
        raise _is_link(path)


def checksum_of(path: pathlib.Path) -> str | None:
    """Returns a checksum of a file's bytes, or None if it cannot be read."""
    try:
        return f'{zlib.crc32(path.read_bytes()):08x}'
    except OSError:
        return None


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
