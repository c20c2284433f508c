"""Operations in pieces and in place have the results of plain NumPy."""

import numpy as np
import pytest

from atelier.data import large_arrays, moments

SHAPES = [(50,), (50, 3), (50, 5, 7, 1)]
TYPES = [np.float64, np.float32, np.int64, np.uint16, np.uint8]


@pytest.fixture(autouse=True)
def everything_is_large(monkeypatch):
    monkeypatch.setattr(large_arrays, 'SMALL', 0)
    monkeypatch.setattr(moments, 'SMALL', 0)
    monkeypatch.setattr(large_arrays, 'PIECE', 7)


def values(shape, dtype):
    return (200 * np.random.default_rng(0).random(shape)).astype(dtype)


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('dtype', TYPES)
@pytest.mark.parametrize('other', [np.float32, np.int32, np.uint8])
def test_another_type(shape, dtype, other):
    x = values(shape, dtype)
    expected = x.astype(other)
    result = large_arrays.as_type(x, other)
    assert result.dtype == other
    np.testing.assert_array_equal(result, expected)
    assert np.shares_memory(result, x) == (np.dtype(other).itemsize <= x.itemsize)


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('dtype', TYPES)
def test_another_order(shape, dtype):
    x, order = values(shape, dtype), np.random.default_rng(1).permutation(50)
    expected = x[order]
    assert large_arrays.reordered(x, order) is x
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize('kind', ['read-only', 'Fortran order'])
def test_what_may_not_be_overwritten_is_copied(kind):
    x, order = values((50, 3), np.float64), np.arange(50)[::-1]
    if kind == 'read-only':
        x.flags.writeable = False
    else:
        x = np.asfortranarray(x)
    before = x.copy()
    np.testing.assert_array_equal(large_arrays.reordered(x, order), before[order])
    np.testing.assert_array_equal(large_arrays.as_type(x, np.float32), before.astype(np.float32))
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('dtype', [np.float64, np.float32])
def test_moments_in_pieces(shape, dtype):
    x = values(shape, dtype) + 1000
    mean, std = moments.moments(x)
    columns = x.reshape(50, -1) if x.ndim == 2 else x.reshape(-1, 1)
    np.testing.assert_allclose(mean, columns.mean(0, np.float64), rtol=1e-12)
    np.testing.assert_allclose(std, columns.std(0, np.float64), rtol=1e-10)
    assert moments.moments(np.full(shape, 0.1, dtype))[1].tolist() == [0.0] * len(mean)
