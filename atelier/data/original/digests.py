"""A digest of files by their content, for the key of a cache entry."""

import concurrent.futures
import hashlib
import os
import pathlib
from collections.abc import Sequence

from atelier.errors import reading
from atelier.files import open_regular

BLOCK = 1 << 20  # bytes
CHUNK = 256  # files that one thread reads at a time


def digest_of(files: Sequence[pathlib.Path]) -> str:
    """Returns a digest of the content of files, of their names and those of their folders.

    Raises:
      UserError: a file cannot be read, or is not a regular one.
    """
    total = hashlib.blake2b(digest_size=8)
    chunks = [files[i : i + CHUNK] for i in range(0, len(files), CHUNK)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for digest in pool.map(lambda chunk: b''.join(map(_digest, chunk)), chunks):
            total.update(digest)
    return total.hexdigest()


def _digest(path: pathlib.Path) -> bytes:
    name = f'{path.parent.name}/{path.name}'.encode(errors='surrogateescape')
    digest = hashlib.blake2b(name + b'\0', digest_size=16)
    with reading(path), open_regular(path) as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.digest()
