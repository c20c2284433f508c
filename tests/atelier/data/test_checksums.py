"""Checksums distinguish arrays; for large arrays they read only some rows."""

import zlib

import numpy as np

from atelier.data import checksums

ROWS = np.arange(60, dtype=np.int16).reshape(20, 3)


def test_the_checksum_is_the_crc_of_all_rows_and_can_be_continued():
    assert checksums.checksum(ROWS) == zlib.crc32(ROWS.tobytes())
    halves = checksums.checksum(ROWS[10:], checksums.checksum(ROWS[:10]))
    assert halves == checksums.checksum(ROWS) != checksums.checksum(ROWS[::-1])


def test_the_checksum_does_not_depend_on_memory_layout():
    assert checksums.checksum(np.asfortranarray(ROWS)) == checksums.checksum(ROWS)
    assert checksums.checksum(np.repeat(ROWS, 2, 1)[:, ::2]) == checksums.checksum(ROWS)


def test_evenly_spaced_rows_of_a_large_array_are_read(monkeypatch):
    """With 120 bytes and a limit of 50, every third row is read."""
    monkeypatch.setattr(checksums, 'MAX_CHECKED_BYTES', 50)
    whole, between, read = ROWS, ROWS.copy(), ROWS.copy()
    between[1], read[3] = 0, 0
    assert checksums.checksum(whole) == checksums.checksum(between) != checksums.checksum(read)
