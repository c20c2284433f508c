"""Keys that identify files: by their content or, where reading them is slow, by their times."""

import concurrent.futures
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence

import xxhash
from tqdm import tqdm

from atelier.errors import reading
from atelier.files import descriptor_of_regular
from atelier.log import log

WAYS = ('content', 'times')  # of `config.data.verify`
BLOCK = 1 << 16  # bytes; larger blocks make the reading of small files slower
CHUNK = 256  # files per task
MAX_THREADS = 16
SECONDS = 3.0  # before a progress bar appears


def key_of(root: pathlib.Path, names: Sequence[str], verify: str, labels: Iterable = ()) -> str:
    """Returns a key (32 hexadecimal digits) of the files of these names below `root`.

    Args:
      root: a folder.
      names: paths relative to it, in a fixed order; they are part of the key.
      verify: 'content': the key has all bytes of the files, and does not depend on the place.
        'times': it has their sizes and times instead, and the resolved path of `root`.
      labels: what else belongs to the key.

    Raises:
      UserError: a file cannot be read, or is not a regular one.
    """
    whole = xxhash.xxh3_128(repr((verify, *labels)).encode())
    if verify == 'times':
        log.info(
            '%s: with data.verify=times, files are taken as unchanged if their names, sizes, times '
            'and place are; their content is not read',
            root,
        )
        whole.update(os.fsencode(root.resolve()) + b'\0')
    base, state = str(root), _times if verify == 'times' else _digest
    _add(whole, names, lambda i: f'{base}/{names[i]}', state)
    return whole.hexdigest()


def key_of_files(files: Sequence[pathlib.Path]) -> str:
    """Returns a key of the content of files, of their names and those of their folders.

    Raises:
      UserError: a file cannot be read, or is not a regular one.
    """
    whole, names = xxhash.xxh3_128(), [f'{path.parent.name}/{path.name}' for path in files]
    _add(whole, names, lambda i: str(files[i]), _digest)
    return whole.hexdigest()


def _add(
    whole: xxhash.xxh3_128,
    names: Sequence[str],
    path_of: Callable[[int], str],
    state: Callable[[str], bytes],
) -> None:
    """Adds the names and state(path) of files to a hash; reads the files on several threads."""
    for name, part in zip(names, _states(len(names), path_of, state), strict=True):
        whole.update(os.fsencode(name) + b'\0' + part)


def _states(
    count: int, path_of: Callable[[int], str], state: Callable[[str], bytes]
) -> list[bytes]:
    def of_chunk(start: int) -> list[bytes]:
        paths = [path_of(i) for i in range(start, min(start + CHUNK, count))]
        states = []
        try:
            for path in paths:
                states.append(state(path))  # noqa: PERF401, the path is named in the error
        except OSError:
            with reading(path):
                raise
        return states

    states = []
    pool = concurrent.futures.ThreadPoolExecutor(min(MAX_THREADS, os.cpu_count() or 1))
    try:
        with tqdm(total=count, desc='checking', unit='file', delay=SECONDS) as bar:
            for some in pool.map(of_chunk, range(0, count, CHUNK)):
                states += some
                bar.update(len(some))
    finally:
        pool.shutdown(cancel_futures=True)
    return states


def _digest(path: str) -> bytes:
    """Returns a hash (16 bytes) of all bytes of a file."""
    file = descriptor_of_regular(path)
    try:
        block = os.read(file, BLOCK)
        if len(block) < BLOCK and not (rest := os.read(file, BLOCK)):
            return xxhash.xxh3_128_digest(block)
        whole = xxhash.xxh3_128(block)
        if len(block) < BLOCK:
            whole.update(rest)
        while block := os.read(file, 16 * BLOCK):
            whole.update(block)
        return whole.digest()
    finally:
        os.close(file)


def _times(path: str) -> bytes:
    stat = os.stat(path)
    return f'{stat.st_size} {stat.st_mtime_ns} '.encode()
