"""Streams with limits."""

import io
import pathlib
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.data.original.bounded import Bounded, Inflated, naming_damage, read_text


@given(st.binary(max_size=300), st.integers(0, 300), st.integers(1, 50))
def test_a_bounded_stream_gives_at_most_its_limit(tmp_path_factory, content, limit, size):
    stream, read = Bounded(io.BytesIO(content), limit, pathlib.Path('file')), b''
    try:
        while block := stream.read(size):
            read += block
    except Exception as error:
        assert f'more than {limit:,} bytes' in str(error)
        assert len(content) > limit
    else:
        assert read == content
        assert len(content) <= limit


@given(st.binary(max_size=3000), st.integers(1, 400), st.binary(max_size=5))
def test_a_zlib_stream_is_inflated_in_parts(content, size, after):
    packed = zlib.compress(content)
    file = io.BytesIO(packed + after)
    stream, read = Inflated(file, len(packed)), b''
    while block := stream.read(size):
        assert len(block) <= size
        read += block
    assert read == content


def test_a_zlib_stream_that_is_cut_or_damaged_is_an_error():
    content = random.Random(0).randbytes(1000)
    packed = zlib.compress(content)
    for bad in (packed[:-1], packed[:-4], packed[:10], packed[:-4] + bytes(4)):
        stream = Inflated(io.BytesIO(bad), len(bad))
        with pytest.raises((EOFError, zlib.error)):
            while stream.read(100):
                pass


def test_a_zlib_stream_that_unpacks_to_much_is_read_in_parts():
    packed = zlib.compress(bytes(1 << 24))
    assert len(Inflated(io.BytesIO(packed), len(packed)).read(10)) == 10


def test_text_has_a_limit(tmp_path, complaint):
    (tmp_path / 'a').write_text('abc')
    assert read_text(tmp_path / 'a', 3) == 'abc'
    assert 'more than 2 bytes' in complaint(read_text, tmp_path / 'a', 2)
    (tmp_path / 'a').write_bytes(b'\xff')
    assert str(tmp_path / 'a') in complaint(read_text, tmp_path / 'a', 2)


@pytest.mark.parametrize('error', [RecursionError(), OverflowError('too\nlarge'), OSError(5, 'x')])
def test_any_failure_of_a_reader_is_one_line(tmp_path, complaint, error):
    def fail():
        with naming_damage(tmp_path):
            raise error

    assert complaint(fail).startswith(f'cannot read {tmp_path}: ')
