"""Decoded data in the user's cache folder, so that later starts are fast.

An entry is a folder `data/KEY`: one `.npy` per array, and `entry.json` with metadata and a checksum
of each array. It is written to a temporary folder beside its place and moved there whole. An entry
that does not match its checksums is rebuilt.
"""

import contextlib
import errno
import glob
import json
import os
import pathlib
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from atelier.errors import UserError
from atelier.log import log
from atelier.paths import cache_folder

CHUNK = 1 << 24  # bytes
FORMAT = 1  # version of the entry's format; part of the key
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
    folder = cache_folder() / 'data' / f'{key}-v{FORMAT}'
    with _writing(folder):
        _remove_leftovers(folder.parent, key)
        if os.path.lexists(folder):
            try:
                return _read(folder)
            except DAMAGE as error:
                log.warning('%s is damaged (%s): it is rebuilt', folder, error)
                _remove(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = pathlib.Path(tempfile.mkdtemp(prefix=f'.{key}-', dir=folder.parent))
    try:
        metadata = build(temporary)
        with _writing(folder):
            _write_entry(temporary, metadata)
            entry = _read(temporary)  # the memory maps stay valid after a rename or removal
            _move(temporary, folder)
        return entry
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def create_array(folder: pathlib.Path, name: str, shape, dtype) -> np.ndarray:
    """Creates an array for `build` on disk from the start: it may be larger than memory.

    Raises:
      UserError: the disk has no space (detected here, because a failed write to the map is fatal).
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
        os.rename(temporary, folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def _remove(path: pathlib.Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _remove_leftovers(parent: pathlib.Path, key: str) -> None:
    """Removes leftovers, at least a day old, of processes killed while building this entry."""
    for path in parent.glob(f'.{glob.escape(key)}-*'):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > LEFTOVER_SECONDS:
                shutil.rmtree(path, ignore_errors=True)


def _read(folder: pathlib.Path) -> tuple[Any, dict[str, np.ndarray]]:
    checksum, _, text = (folder / 'entry.json').read_text().partition(' ')
    if checksum != f'{zlib.crc32(text.encode()):08x}':
        raise ValueError('the checksum of entry.json differs')
    entry, arrays = json.loads(text), {}
    for name, checksum in entry['crc32'].items():
        path = folder / f'{name}.npy'
        if _checksum(path) != checksum:
            raise ValueError(f'the checksum of {path.name} differs')
        arrays[name] = np.load(path, mmap_mode='r', allow_pickle=False)
    return entry['about'], arrays


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
