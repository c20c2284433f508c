"""Sizes of a text as gzip, bzip2 and xz files, alone and after an earlier text.

Given an earlier text, a size is that of the file of both texts, the earlier one first, minus the
size of the file of the earlier text alone. So each format sees of it what it can: gzip the last 32
kilobytes, bzip2 what is in the same block of 900 kilobytes, xz the last 8 megabytes.
"""

import bz2
import gzip
import lzma
from collections.abc import Callable

FORMATS: dict[str, Callable[[bytes], bytes]] = {  # levels: the best ones, and the default of xz
    'gzip': lambda content: gzip.compress(content, 9, mtime=0),
    'bzip2': lambda content: bz2.compress(content, 9),
    'xz': lambda content: lzma.compress(content, preset=6),
}
MAX_EARLIER = 2**23  # bytes of the earlier text that a format can use: the dictionary of xz


def bytes_of(text: bytes, earlier: bytes) -> dict[str, dict[str, int]]:
    """Returns bytes by format: 'alone', and 'given' the last `MAX_EARLIER` bytes of `earlier`."""
    earlier = earlier[-MAX_EARLIER:]
    return {
        name: {
            'alone': len(compress(text)),
            'given': len(compress(earlier + text)) - len(compress(earlier)),
        }
        for name, compress in FORMATS.items()
    }
