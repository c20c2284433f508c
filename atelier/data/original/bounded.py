"""Reads files of unknown origin: no size that a file declares is believed before it is compared."""

import contextlib
import gzip
import os
import pathlib
import zlib
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from atelier.errors import UserError
from atelier.files import open_regular
from atelier.memory import total_bytes

GZIP = b'\x1f\x8b'
MAX_RATIO = 1032  # of deflate: a byte of a compressed file unpacks to at most this many


@runtime_checkable
class Stream(Protocol):
    """Whatever bytes can be read from, in order."""

    def read(self, size: int, /) -> bytes:
        """Returns the next bytes, at most `size`; b'' at the end."""


@contextlib.contextmanager
def naming_damage(path: pathlib.Path) -> Iterator[None]:
    """Turns any failure of a reader of `path` into a `UserError`; readers raise many types."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = getattr(error, 'strerror', None) or str(error)
        reason = ' '.join(reason.split())[:200] or type(error).__name__
        raise UserError(f'cannot read {path}: {reason}') from error


@contextlib.contextmanager
def unpacked(path: pathlib.Path) -> Iterator[tuple[Stream, int]]:
    """Yields the content of a file, unpacked if it is gzip, and the most bytes that it may have.

    Raises:
      UserError: the file cannot be read, is damaged, or is not a regular file.
    """
    with naming_damage(path), open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if file.peek(2)[:2] == GZIP:
            with gzip.GzipFile(fileobj=file) as stream:
                yield stream, size * MAX_RATIO
        else:
            yield file, size


def read_text(path: pathlib.Path, limit: int) -> str:
    """Returns a UTF-8 text of at most `limit` bytes, unpacked if it is gzip.

    Raises:
      UserError: the file is larger, or cannot be read.
    """
    with unpacked(path) as (stream, _):
        content = stream.read(limit + 1)
        if len(content) > limit:
            raise UserError(f'cannot read {path}: it has more than {limit:,} bytes')
        return content.decode()


def check_size(path: pathlib.Path, declared: int, most: int) -> None:
    """Refuses `declared` bytes if they are more than `most`, which the file can have, or memory.

    Raises:
      UserError: names both sizes.
    """
    if declared > most:
        raise UserError(f'cannot read {path}: it declares {declared:,} bytes and has fewer')
    check_memory(path, declared)


def check_memory(path: pathlib.Path, size: int) -> None:
    """Refuses a file of `size` bytes when unpacked if memory has fewer.

    Raises:
      UserError: names both sizes.
    """
    memory = total_bytes()
    if size > memory:
        raise UserError(
            f'cannot read {path}: it is {size / 1e9:,.1f} GB when unpacked, and there are '
            f'{memory / 1e9:,.1f} GB of memory'
        )


def read_array(stream: Stream, count: int, path: pathlib.Path) -> UInt8[np.ndarray, 'count']:
    """Returns the next `count` bytes of a stream; `check_size` has compared `count`.

    Raises:
      UserError: the stream has fewer.
    """
    array = np.empty(count, np.uint8)
    view, done = memoryview(array), 0
    while done < count:
        block = stream.read(min(count - done, 1 << 20))
        if not block:
            raise UserError(f'cannot read {path}: it declares {count:,} bytes and has {done:,}')
        view[done : done + len(block)] = block
        done += len(block)
    return array


class Bounded:
    """A stream that ends in a `UserError` once more than `limit` bytes were read from it."""

    def __init__(self, stream: Stream, limit: int, path: pathlib.Path):
        self._stream, self._left, self._limit, self._path = stream, limit, limit, path

    def read(self, size: int) -> bytes:
        """Returns the next bytes, at most `size`."""
        block = self._stream.read(min(size, self._left + 1))
        self._left -= len(block)
        if self._left < 0:
            raise UserError(
                f'cannot read {self._path}: it unpacks to more than {self._limit:,} bytes'
            )
        return block


class Inflated:
    """The content of the next `size` bytes of a file, which are one zlib stream."""

    def __init__(self, file: Stream, size: int):
        self._file, self._left, self._pending = file, size, b''
        self._decompressor = zlib.decompressobj()

    def read(self, size: int) -> bytes:
        """Returns the next bytes, at most `size`; b'' at the end, whose checksum is compared.

        Raises:
          EOFError: the stream is cut short.
          zlib.error: it is damaged.
        """
        while not self._decompressor.eof:
            if not self._pending:
                self._pending = self._file.read(min(self._left, 1 << 16))
                self._left -= len(self._pending)
                if not self._pending:
                    raise EOFError('its compressed part ends too early')
            block = self._decompressor.decompress(self._pending, max(size, 1))
            self._pending = self._decompressor.unconsumed_tail
            if block:
                return block
        return b''
