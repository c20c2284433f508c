"""Refuses a checkpoint whose index of arrays would take gigabytes once decompressed.

The index of OCDBT, the format of a checkpoint's arrays, is a tree of nodes. tensorstore
decompresses a node as a whole, whatever its size: one of 16 KB took 500 MB. Decompressed by zstd, a
block has at most 128 KiB. So the blocks are counted, without decompressing them.
"""

import os
import pathlib
import re
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from atelier import files

MAX_BLOCKS = 4096  # of all nodes; 512 MiB once decompressed, where a million arrays take less
_BLOCK_BYTES = 1 << 17
# begin a manifest, a node of the tree of arrays and a node of the tree of versions
_NODES = (b'\x0c\xdb\x3a\x2a', b'\x0c\xdb\x20\xde', b'\x0c\xdb\x12\x34')
_FRAME = re.compile(rb'\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18', re.DOTALL)  # the second: skipped
_MAX_HEADER = 64  # bytes of a node before its first frame; there are fewer


def check_index(folder: pathlib.Path) -> None:
    """Counts the compressed blocks of all nodes in the files of a folder.

    Raises:
      ValueError: there are more than `MAX_BLOCKS`.
      OSError: a file cannot be read.
    """
    num_blocks = 0
    for path in sorted(path for path in folder.rglob('*') if path.is_file()):
        with files.open_regular(path) as file:
            for start in _nodes(file):
                for _ in _blocks(file.fileno(), start):
                    num_blocks += 1
                    if num_blocks > MAX_BLOCKS:
                        most = MAX_BLOCKS * _BLOCK_BYTES
                        raise ValueError(
                            f'its index may have more than {most:,} bytes once decompressed'
                        )


def _nodes(file: BinaryIO) -> Iterator[int]:
    """Yields the positions of whatever begins like a node."""
    position, tail = 0, b''
    while block := file.read(files.BLOCK):
        content = tail + block
        values = np.frombuffer(content, np.uint8)
        may_begin = (values[:-1] == _NODES[0][0]) & (values[1:] == _NODES[0][1])
        for found in map(int, np.flatnonzero(may_begin)):  # five times as fast as bytes.find
            if content[found : found + 4] in _NODES:
                yield position - len(tail) + found
        position += len(block)
        tail = content[-3:]  # a node may begin in it


def _blocks(descriptor: int, node: int) -> Iterator[None]:
    """Yields once for each block of the zstd frames that begin in the header of a node."""
    first = _FRAME.search(os.pread(descriptor, _MAX_HEADER, node), 12)  # after magic and length
    position = node + first.start() if first else None
    while position is not None:
        header = os.pread(descriptor, 8, position)
        if len(header) < 8 or not _FRAME.match(header):
            return
        if header[0] != 0x28:  # a frame that the decoder skips
            yield
            position += 8 + int.from_bytes(header[4:], 'little')
            continue
        flags = header[4]
        is_single = flags >> 5 & 1  # there is no byte for the size of the window
        size_bytes, dictionary_bytes = (is_single, 2, 4, 8)[flags >> 6], (0, 1, 2, 4)[flags & 3]
        position += 6 - is_single + size_bytes + dictionary_bytes
        is_last = False
        while not is_last:
            block = os.pread(descriptor, 3, position)
            if len(block) < 3:
                return
            yield
            word = int.from_bytes(block, 'little')
            is_last, is_run = word & 1, word >> 1 & 3 == 1  # a run stores one byte
            position += 3 + (1 if is_run else word >> 3)
        position += 4 * (flags >> 2 & 1)  # a checksum
