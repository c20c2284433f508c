"""Decoded data in the user's cache folder, so that later starts are fast.

An entry is a folder `data/KEY-vFORMAT`: one `.npy` per array, and `entry.json` with metadata and a
checksum of each array. It is written to a temporary folder in `data`, which is renamed once it is
complete. An entry that does not match its checksums is rebuilt.
"""

import contextlib
import errno
import json
import os
import pathlib
import shutil
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from atelier import leftovers
from atelier.errors import UserError
from atelier.log import log
from atelier.paths import cache_folder

CHUNK = 1 << 24  # bytes
FORMAT = 2  # version of the entry's format; part of the key
LEFTOVER_SECONDS = 24 * 3600
DAMAGE = (
    FileNotFoundError,
    NotADirectoryError,
    IsADirectoryError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
)


def cached(key: str, build: Callable[[pathlib.Path], Any]) -> tuple[Any, dict[str, np.ndarray]]:
    """Returns what `build` made, now or at an earlier start.

    Args:
      key: names the entry; it must change whenever the content changes.
      build: writes arrays into a folder (`create_array`) and returns metadata of JSON types.

    Returns:
      The metadata from `build`, and the arrays by name: memory-mapped, read-only.

    Raises:
      UserError: the cache folder cannot be written.
    """
    folder = _entries_folder() / f'{key}-v{FORMAT}'
    with _writing(folder):
        remove_leftovers()
        if os.path.lexists(folder):
            try:
                return _read(folder)
            except DAMAGE as error:
                log.warning('%s is damaged (%s): it is rebuilt', folder, error)
                _remove(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
    return _built(folder, key, build)


def _built(
    folder: pathlib.Path, key: str, build: Callable[[pathlib.Path], Any]
) -> tuple[Any, dict[str, np.ndarray]]:
    with contextlib.ExitStack() as stack:
        with _writing(folder):
            temporary = stack.enter_context(leftovers.new_folder(folder.parent, f'.{key}-'))
        metadata = build(temporary)
        with _writing(folder):
            _write_entry(temporary, metadata)
            entry = _read(temporary)  # the memory maps stay valid after a rename or removal
            _move(temporary, folder)
        return entry


def _entries_folder() -> pathlib.Path:
    return cache_folder() / 'data'


def create_array(folder: pathlib.Path, name: str, shape, dtype) -> np.ndarray:
    """Creates an array for `build` directly on disk, so that it may be larger than memory.

    Raises:
      UserError: the disk has no space (detected here, because a failed write to a memory map kills
        the process).
    """
    path = folder / f'{name}.npy'
    with _writing(folder):
        array = np.lib.format.open_memmap(path, 'w+', dtype, tuple(shape))
        if hasattr(os, 'posix_fallocate'):
            with path.open('r+b') as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _write_entry(folder: pathlib.Path, metadata: Any) -> None:
    checksums = {path.stem: _checksum(path) for path in sorted(folder.glob('*.npy'))}
    text = json.dumps({'about': metadata, 'crc32': checksums})
    (folder / 'entry.json').write_text(f'{zlib.crc32(text.encode()):08x} {text}')


def _move(temporary: pathlib.Path, folder: pathlib.Path) -> None:
    """Moves the entry into place, unless another process has made it meanwhile."""
    try:
        leftovers.keep(temporary)
        os.rename(temporary, folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def _remove(path: pathlib.Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def remove_leftovers() -> None:
    """Removes the temporary folders of processes that were killed while they built an entry.

    Temporary folders of earlier versions of this program have no lock: they are removed when they
    are older than a day.
    """
    parent = _entries_folder()
    leftovers.remove_folders(parent, '.')
    for path in parent.glob('.*'):
        with contextlib.suppress(OSError):
            is_old = time.time() - path.stat().st_mtime > LEFTOVER_SECONDS
            if is_old and not (path / leftovers.LOCK).exists():
                shutil.rmtree(path, ignore_errors=True)


def _read(folder: pathlib.Path) -> tuple[Any, dict[str, np.ndarray]]:
    _check_regular(folder / 'entry.json')
    checksum, _, text = (folder / 'entry.json').read_text().partition(' ')
    if checksum != f'{zlib.crc32(text.encode()):08x}':
        raise ValueError('the checksum of entry.json differs')
    entry, arrays = json.loads(text), {}
    for name, checksum in entry['crc32'].items():
        path = folder / f'{name}.npy'
        _check_regular(path)
        if _checksum(path) != checksum:
            raise ValueError(f'the checksum of {path.name} differs')
        arrays[name] = np.load(path, mmap_mode='r', allow_pickle=False)
    return entry['about'], arrays


def _check_regular(path: pathlib.Path) -> None:
    if path.exists() and not path.is_file():  # to open a pipe would wait for its other end
        raise ValueError(f'{path.name} is not a regular file')


def _checksum(path: pathlib.Path) -> int:
    total = 0
    with path.open('rb') as file:
        while chunk := file.read(CHUNK):
            total = zlib.crc32(chunk, total)
    return total


@contextlib.contextmanager
def _writing(folder: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f'cannot keep decoded data in {folder.parent}: {error.strerror or error}; '
            'set XDG_CACHE_HOME to another folder'
        ) from error
