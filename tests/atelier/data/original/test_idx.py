"""MNIST in IDX files: what is read, and damaged, hostile and mistaken files."""

import gzip
import os

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.data.original import idx as source
from atelier.data.original.known import IDX_FILES, KNOWN
from benchmarks.original_files import idx, write_idx

MNIST = KNOWN['mnist']


def digits(n, first=0):
    rng = np.random.default_rng(first)
    return rng.integers(0, 256, (n, 28, 28), np.uint8), np.arange(first, first + n) % 10


def whole(folder, suffix='.gz'):
    return write_idx(folder, {'train': digits(30), 'test': digits(7, 100)}, suffix)


@given(hnp.arrays(np.uint8, st.tuples(*[st.integers(0, 5)] * 3)), st.booleans())
def test_an_array_is_read_as_it_was_written(tmp_path_factory, array, is_compressed):
    path = tmp_path_factory.mktemp('idx') / 'file'
    path.write_bytes(gzip.compress(idx(array)) if is_compressed else idx(array))
    np.testing.assert_array_equal(source.read_idx(path, 3), array)


@pytest.mark.parametrize('suffix', ['.gz', ''])
def test_compressed_and_plain_files_are_found(tmp_path, suffix):
    files = source.find(whole(tmp_path, suffix), MNIST)
    assert [file.name for file in files] == [
        name.removesuffix('.gz') + suffix for name in IDX_FILES
    ]
    splits = source.read(files, MNIST)
    assert {name: len(part.x) for name, part in splits.items()} == {'train': 30, 'test': 7}


def test_the_spelling_with_a_dot_is_found(tmp_path):
    for path in whole(tmp_path, '').iterdir():
        path.rename(path.with_name(path.name.replace('-idx', '.idx')))
    assert len(source.find(tmp_path, MNIST)) == 4


def test_nothing_is_found_in_another_folder_and_a_missing_file_is_named(tmp_path, complaint):
    assert source.find(tmp_path, MNIST) == ()
    (whole(tmp_path) / IDX_FILES[3]).unlink()
    line = complaint(source.find, tmp_path, MNIST)
    assert f'lacks {IDX_FILES[3]}: fetch it from {MNIST.address}' in line


def header(*shape):
    return bytes([0, 0, 8, len(shape)]) + b''.join(n.to_bytes(4, 'big') for n in shape)


X = idx(np.zeros((30, 28, 28)))
BAD = {
    'empty': b'',
    'text': b'<html>404</html>',
    'labels in its place': idx(np.zeros(30)),
    'cut short': X[:-1],
    'too long': X + b'\0',
    'huge': header(2**31, 28, 28) + bytes(100),
    'all of 32 bits': header(2**32 - 1, 2**32 - 1, 2**32 - 1),
    'floats': b'\0\0\x0d\x03' + X[4:],
}


@pytest.mark.parametrize(
    'content', [pytest.param(content, id=name) for name, content in BAD.items()]
)
@pytest.mark.parametrize('pack', [bytes, gzip.compress])
def test_a_bad_file_is_refused(tmp_path, complaint, content, pack):
    path = tmp_path / 'x'
    path.write_bytes(pack(content))
    assert str(path) in complaint(source.read_idx, path, 3)


def test_a_damaged_gzip_is_refused(tmp_path, complaint):
    packed = gzip.compress(idx(np.arange(784 * 30, dtype=np.uint32).reshape(30, 28, 28)))
    for bad in (packed[:-9], packed[:-8] + bytes(8), packed[:40] + b'\xff' * 9 + packed[49:]):
        (tmp_path / 'x').write_bytes(bad)
        assert str(tmp_path / 'x') in complaint(source.read_idx, tmp_path / 'x', 3)


def test_a_bomb_is_not_unpacked(tmp_path, complaint, monkeypatch):
    """A file that unpacks to more than it declares is refused without being unpacked."""
    path = tmp_path / 'x'
    path.write_bytes(gzip.compress(header(1, 28, 28) + bytes(1 << 26)))
    assert 'more bytes' in complaint(source.read_idx, path, 3)
    path.write_bytes(gzip.compress(header(2**20, 28, 28) + bytes(1 << 10)))
    assert 'and has fewer' in complaint(source.read_idx, path, 3)


def test_more_than_memory_is_refused(tmp_path, complaint, monkeypatch):
    path = tmp_path / 'x'
    path.write_bytes(idx(np.zeros((30, 28, 28))))
    monkeypatch.setattr(os, 'sysconf', lambda name: 100)
    assert 'GB of memory' in complaint(source.read_idx, path, 3)


def test_a_pipe_is_refused(tmp_path, complaint):
    os.mkfifo(tmp_path / 'x')
    assert 'not a regular file' in complaint(source.read_idx, tmp_path / 'x', 3)


@pytest.mark.parametrize(
    ('x', 'label', 'said'),
    [
        (np.zeros((30, 27, 28)), np.zeros(30), 'expected uint8 pictures [n, 28x28x1]'),
        (np.zeros((30, 28, 28)), np.zeros(29), 'expected 30 whole numbers as labels'),
        (np.zeros((30, 28, 28)), np.full(30, 10), 'expected labels from 0 to 9, got 10 to 10'),
        (np.zeros((0, 28, 28)), np.zeros(0), 'expected uint8 pictures'),
        (
            np.zeros((30, 28, 28)),
            [*KNOWN['fashion_mnist'].first_labels, *range(10)],
            'fashion_mnist',
        ),
    ],
)
def test_files_of_another_set_are_refused(tmp_path, complaint, x, label, said):
    files = source.find(write_idx(tmp_path, {'train': (x, label), 'test': digits(7)}), MNIST)
    assert said in complaint(source.read, files, MNIST)
