"""Text files: UTF-8 with or without a mark, packed or not, and what is refused in one line."""

import gzip

import pytest

from atelier.data import text_files
from atelier.errors import UserError


@pytest.mark.parametrize('raw', ['löwe\n'.encode(), 'löwe\n'.encode('utf-8-sig')])
@pytest.mark.parametrize('pack', [bytes, gzip.compress])
def test_a_text_is_read_packed_or_not(tmp_path, raw, pack):
    (tmp_path / 'mine').write_bytes(pack(raw))
    assert text_files.read(tmp_path / 'mine') == 'löwe\n'


@pytest.mark.parametrize(
    ('raw', 'message'),
    [
        (b'', 'is empty'),
        (b'caf\xe9', r'is not UTF-8 text \(byte 3\)'),
        (b'a\0b', 'is not text: it has zero bytes'),
        (gzip.compress(b'abc' * 100, mtime=0)[:-9], 'cannot read'),
        (gzip.compress(b'abc' * 100, mtime=0)[:-4] + b'abcd', 'cannot read'),
    ],
)
def test_what_is_no_text_is_refused(tmp_path, raw, message):
    (tmp_path / 'mine').write_bytes(raw)
    with pytest.raises(UserError, match=message) as caught:
        text_files.read(tmp_path / 'mine')
    assert '\n' not in str(caught.value)


def test_a_small_file_does_not_unpack_to_more_than_memory(tmp_path, monkeypatch):
    (tmp_path / 'mine.gz').write_bytes(gzip.compress(b'a' * 2_000_000))
    assert (tmp_path / 'mine.gz').stat().st_size < 4000
    monkeypatch.setattr(text_files, 'total_bytes', lambda: 1_000_000 * text_files.BYTES_OF_MEMORY)
    with pytest.raises(UserError, match='more than 0.0 GB of text'):
        text_files.read(tmp_path / 'mine.gz')


def test_a_missing_file_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / 'none'):
        with pytest.raises(UserError, match='there is no file'):
            text_files.read(path)
