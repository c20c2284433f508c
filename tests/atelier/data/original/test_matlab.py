"""MATLAB 5 files: SciPy's files are read, and damaged and hostile ones are refused."""

import random
import struct
import zlib

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import savemat

from atelier.data.original.matlab import read_matrices
from atelier.errors import UserError
from benchmarks.mutating import damaged

TYPES = ('u1', 'i1', 'u2', 'i2', 'u4', 'i4', 'i8', 'f4', 'f8')
ARRAYS = st.sampled_from(TYPES).flatmap(
    lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=2, max_dims=4, max_side=5))
)


@given(ARRAYS, ARRAYS, st.booleans())
def test_arrays_are_read_as_scipy_writes_them(tmp_path_factory, x, y, is_compressed):
    path = tmp_path_factory.mktemp('mat') / 'a.mat'
    savemat(path, {'other': 'text', 'X': x, 'y': y}, do_compression=is_compressed)
    arrays = read_matrices(path, ('X', 'y'))
    np.testing.assert_array_equal(arrays['X'], x)
    np.testing.assert_array_equal(arrays['y'], y)


def saved(tmp_path, is_compressed=True, **arrays):
    path = tmp_path / 'a.mat'
    savemat(path, arrays, do_compression=is_compressed)
    return path


@pytest.mark.parametrize('is_compressed', [False, True])
def test_other_kinds_of_arrays_are_refused(tmp_path, complaint, is_compressed):
    for value in ('text', {'a': 1}, np.array([{}, 'a'], object), np.array([[1j]])):
        path = saved(tmp_path, is_compressed, X=value)
        assert 'X is not an array of real numbers' in complaint(read_matrices, path, ('X',))
    path = saved(tmp_path, is_compressed, y=np.ones(3))
    assert 'has no array X' in complaint(read_matrices, path, ('X', 'y'))


def element(kind, content):
    return struct.pack('<2I', kind, len(content)) + content + bytes(-len(content) % 8)


def matrix(shape, content, name=b'X', kind=9, code=2, declared=None):
    size = len(content) if declared is None else declared
    inside = element(6, struct.pack('<2I', kind, 0))
    inside += element(5, struct.pack(f'<{len(shape)}i', *shape)) + element(1, name)
    inside += struct.pack('<2I', code, size) + content
    return struct.pack('<2I', 14, len(inside)) + inside


def packed(content):
    content = zlib.compress(content)
    return struct.pack('<2I', 15, len(content)) + content


HEADER = b'MATLAB 5.0 MAT-file'.ljust(124) + b'\0\1IM'
BAD = {
    'empty': b'',
    'hdf5': b'MATLAB 7.3 MAT-file'.ljust(124) + b'\0\2IM' + b'\x89HDF\r\n\x1a\n',
    'html': b'<html>' * 100,
    'huge': HEADER + matrix((2**30, 2), b'abc', declared=2**31),
    'huge, packed': HEADER + packed(matrix((2**30, 2), b'abc', declared=2**31)),
    'negative': HEADER + matrix((-2, -2), b'abcd'),
    'other size': HEADER + matrix((3, 3), b'abcd'),
    'no shape': HEADER + matrix((), b'a'),
    'long name': HEADER + matrix((1, 1), b'a', name=b'X' * 5000),
    'function': HEADER + matrix((1, 1), b'a', kind=16),
    'object': HEADER + matrix((1, 1), b'a', kind=3),
    'text inside': HEADER + matrix((1, 1), b'a', code=16),
    'longer than the file': HEADER + struct.pack('<2I', 14, 2**31),
    'packed twice': HEADER + packed(packed(matrix((2, 2), b'abcd'))),
    'not zlib': HEADER + struct.pack('<2I', 15, 8) + b'rubbish!',
    'cut': HEADER + matrix((2, 2), b'abcd')[:-2],
    'twice': HEADER + matrix((2, 2), b'abcd') * 2,
}


@pytest.mark.parametrize(
    'content', [pytest.param(content, id=name) for name, content in BAD.items()]
)
def test_a_bad_file_is_refused(tmp_path, complaint, content):
    (tmp_path / 'a.mat').write_bytes(content)
    assert 'a.mat' in complaint(read_matrices, tmp_path / 'a.mat', ('X',))


def test_a_hand_made_file_is_read(tmp_path):
    for pack in (bytes, packed):
        (tmp_path / 'a.mat').write_bytes(HEADER + pack(matrix((2, 2), b'abcd')))
        x = read_matrices(tmp_path / 'a.mat', ('X',))['X']
        assert x.tolist() == [[97, 99], [98, 100]]


def test_the_checksum_of_a_packed_array_is_compared(tmp_path, complaint):
    path = saved(tmp_path, X=np.arange(1000.0))
    path.write_bytes(path.read_bytes()[:-4] + b'abcd')
    assert 'a.mat' in complaint(read_matrices, path, ('X',))


@pytest.mark.parametrize('is_compressed', [False, True])
def test_random_damage_is_refused_or_changes_values(tmp_path, is_compressed):
    rng, x = random.Random(0), np.arange(96, dtype=np.uint8).reshape(2, 4, 4, 3)
    path = saved(tmp_path, is_compressed, X=x)
    content = path.read_bytes()
    for _ in range(300):
        path.write_bytes(damaged(content, rng))
        try:
            got = read_matrices(path, ('X',))['X']
        except UserError as error:
            assert len(str(error).splitlines()) == 1
        else:
            assert got.nbytes <= 10 * x.nbytes
