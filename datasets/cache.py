"""Decoded data in the user's cache folder, so that the second start is quick.

An entry is a folder `data/KEY`: one `.npy` an array, and `entry.json` with what was said about them
and a checksum of each. It is written beside its place and moved there whole; one that does not fit
its checksums is made again.
"""

import contextlib
import json
import os
import pathlib
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from errors import UserError
from places import cache_folder
from reporting import log

CHUNK = 1 << 24  # bytes
FORMAT = 1  # of an entry; another number is another key


def cached(key: str, build: Callable[[pathlib.Path], Any]) -> tuple[Any, dict[str, np.ndarray]]:
    """What `build` made, now or at an earlier start.

    Args:
      key: names the entry; whatever changes the content has to change it.
      build: writes arrays into a folder (`create_array`) and returns what is to be remembered
        about them, in JSON's types.

    Returns:
      What `build` returned, and the arrays by name: memory-mapped, read-only.

    Raises:
      UserError: the cache folder cannot be written.
    """
    folder = cache_folder() / 'data' / f'{key}-v{FORMAT}'
    if folder.exists():
        try:
            return _read(folder)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning('%s is damaged (%s): made again', folder, error)
    with _writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = pathlib.Path(tempfile.mkdtemp(prefix=f'.{key}-', dir=folder.parent))
    try:
        about = build(temporary)
        with _writing(folder):
            _write_entry(temporary, about)
            _move(temporary, folder)
        return _read(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def create_array(folder: pathlib.Path, name: str, shape, dtype) -> np.ndarray:
    """An array of `build`'s, on disk from the start: it may be larger than memory.

    Raises:
      UserError: there is no space for it (found here, where a write to the map would be fatal).
    """
    path = folder / f'{name}.npy'
    with _writing(folder):
        array = np.lib.format.open_memmap(path, 'w+', dtype, tuple(shape))
        with path.open('r+b') as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _write_entry(folder: pathlib.Path, about: Any) -> None:
    checksums = {path.stem: _checksum(path) for path in sorted(folder.glob('*.npy'))}
    text = json.dumps({'about': about, 'crc32': checksums})
    (folder / 'entry.json').write_text(text)


def _move(temporary: pathlib.Path, folder: pathlib.Path) -> None:
    """Another process may have made the same entry meanwhile: the last one stays."""
    if folder.exists():
        old = temporary.with_name(temporary.name + '.old')
        with contextlib.suppress(FileNotFoundError):
            os.replace(folder, old)
        shutil.rmtree(old, ignore_errors=True)
    os.replace(temporary, folder)


def _read(folder: pathlib.Path) -> tuple[Any, dict[str, np.ndarray]]:
    entry = json.loads((folder / 'entry.json').read_text())
    arrays = {}
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
            'XDG_CACHE_HOME chooses another place'
        ) from error
