"""Checksums that identify arrays: every byte counts."""

import zlib

import numpy as np
import xxhash

LARGE = 2**28  # bytes; a CRC-32 of more takes seconds, and xxhash is several times as fast
CHUNK = 2**24  # bytes; affects only memory use


def checksum(array: np.ndarray, start: int = 0) -> int:
    """Returns the CRC-32 of all bytes; above LARGE bytes, that of their `digest`.

    Args:
      array: of any layout in memory, which does not matter.
      start: the checksum of what comes before the array.
    """
    if is_large(array):
        return zlib.crc32(digest(array), start)
    for chunk in _chunks(array):
        start = zlib.crc32(chunk, start)
    return start


def digest(array: np.ndarray) -> bytes:
    """Returns the XXH3 hash (16 bytes) of an array's type, shape and bytes.

    Of windows at every position of a sequence, it reads the sequence once, not each window.
    """
    whole = xxhash.xxh3_128(f'{array.dtype.str} {array.shape}'.encode())
    for part in _sequence(array) if _is_sliding(array) else (array,):
        for chunk in _chunks(part):
            whole.update(chunk)
    return whole.digest()


def earlier_checksum(array: np.ndarray, start: int = 0) -> int:
    """Returns the checksum of earlier versions, which read only some rows of large arrays."""
    stride = 1 + array.nbytes // LARGE
    return zlib.crc32(np.ascontiguousarray(array[::stride]), start)


def is_large(array: np.ndarray) -> bool:
    """Whether the checksum of earlier versions is another one."""
    return array.nbytes >= LARGE


def _chunks(array: np.ndarray):
    """Yields the bytes of an array in the order of its rows."""
    if array.flags.c_contiguous and not isinstance(array, np.memmap):
        yield array.data if array.size else b''
        return
    rows = max(1, CHUNK // max(1, array[:1].nbytes))
    for start in range(0, len(array), rows):
        yield np.ascontiguousarray(array[start : start + rows])


def _is_sliding(array: np.ndarray) -> bool:
    return array.ndim == 2 and array.strides == (array.itemsize, array.itemsize) and array.size > 0


def _sequence(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the two parts of the sequence whose windows these are."""
    return array[:, 0], array[-1, 1:]
