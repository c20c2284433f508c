"""Checksums distinguish arrays: every byte counts, also of large ones."""

import zlib

import numpy as np
import pytest

from atelier.data import checksums

ROWS = np.arange(60, dtype=np.int16).reshape(20, 3)


def test_the_checksum_is_the_crc_of_all_rows_and_can_be_continued():
    assert checksums.checksum(ROWS) == zlib.crc32(ROWS.tobytes())
    halves = checksums.checksum(ROWS[10:], checksums.checksum(ROWS[:10]))
    assert halves == checksums.checksum(ROWS) != checksums.checksum(ROWS[::-1])


def test_the_checksum_does_not_depend_on_memory_layout():
    assert checksums.checksum(np.asfortranarray(ROWS)) == checksums.checksum(ROWS)
    assert checksums.checksum(np.repeat(ROWS, 2, 1)[:, ::2]) == checksums.checksum(ROWS)


@pytest.mark.parametrize('limit', [50, 1000])
@pytest.mark.parametrize('row', range(20))
def test_every_row_counts_whatever_the_size(monkeypatch, limit, row):
    monkeypatch.setattr(checksums, 'LARGE', limit)
    other = ROWS.copy()
    other[row, 1] += 1
    assert checksums.checksum(other) != checksums.checksum(ROWS)
    assert checksums.digest(other) != checksums.digest(ROWS)


def test_large_arrays_are_independent_of_memory_layout_and_pieces(monkeypatch, tmp_path):
    monkeypatch.setattr(checksums, 'LARGE', 50)
    expected = checksums.checksum(ROWS, 7)
    monkeypatch.setattr(checksums, 'CHUNK', 8)
    np.save(tmp_path / 'rows.npy', ROWS)
    mapped = np.load(tmp_path / 'rows.npy', mmap_mode='r')
    for same in (np.asfortranarray(ROWS), np.repeat(ROWS, 2, 1)[:, ::2], mapped):
        assert checksums.checksum(same, 7) == expected
    assert checksums.checksum(ROWS) != expected
    assert checksums.digest(ROWS) != checksums.digest(ROWS.reshape(10, 6))
    assert checksums.digest(ROWS) != checksums.digest(ROWS.view(np.uint16))


def test_overlapping_windows_are_read_once(monkeypatch):
    monkeypatch.setattr(checksums, 'LARGE', 50)
    text = np.arange(100, dtype=np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view(text, 20)
    assert sum(part.size for part in checksums._sequence(windows)) == len(text)
    sums = set()
    for changed in (0, 50, 99):
        other = text.copy()
        other[changed] = 255
        sums.add(checksums.checksum(np.lib.stride_tricks.sliding_window_view(other, 20)))
    assert len(sums | {checksums.checksum(windows)}) == 4


def test_the_checksum_of_earlier_versions_reads_evenly_spaced_rows(monkeypatch):
    """With 120 bytes and a limit of 50, every third row is read."""
    monkeypatch.setattr(checksums, 'LARGE', 50)
    between, read = ROWS.copy(), ROWS.copy()
    between[1], read[3] = 0, 0
    earlier = checksums.earlier_checksum
    assert earlier(ROWS) == earlier(between) != earlier(read)
    monkeypatch.setattr(checksums, 'LARGE', 1000)
    assert earlier(ROWS) == checksums.checksum(ROWS)
