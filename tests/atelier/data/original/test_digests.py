"""The digest of files follows from their names and every byte."""

import os

from atelier.data.original.digests import digest_of


def test_every_byte_and_every_name_counts(tmp_path):
    files = [tmp_path / name for name in ('a', 'b')]
    for file in files:
        file.write_bytes(bytes(3_000_000))
    first = digest_of(files)
    assert digest_of(files) == first
    assert digest_of(files[::-1]) != first
    files[1].write_bytes(bytes(2_999_999) + b'1')
    assert digest_of(files) != first
    files[1].write_bytes(bytes(3_000_000))
    assert digest_of(files) == first
    assert digest_of([files[0], files[1].rename(tmp_path / 'c')]) != first


def test_a_pipe_and_a_missing_file_are_refused(tmp_path, complaint):
    os.mkfifo(tmp_path / 'pipe')
    assert 'not a regular file' in complaint(digest_of, [tmp_path / 'pipe'])
    assert str(tmp_path / 'none') in complaint(digest_of, [tmp_path / 'none'])
