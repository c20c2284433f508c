"""By what arrays are known again."""

import zlib

import numpy as np

MOST_CHECKED_BYTES = 2**28  # of an array


def checksum(array: np.ndarray, start: int = 0) -> int:
    """CRC-32 of all rows, or of evenly spaced ones where all would take longer than a start."""
    every = 1 + array.nbytes // MOST_CHECKED_BYTES
    return zlib.crc32(np.ascontiguousarray(array[::every]), start)
