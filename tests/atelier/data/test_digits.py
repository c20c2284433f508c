"""The digits: scikit-learn's file, changed files, and files that are not digits."""

import gzip
import re

import numpy as np
import pytest

from atelier.data import digits
from atelier.data.dataset import Spec
from atelier.errors import UserError


def table(change=lambda rows: rows) -> bytes:
    """Returns a gzipped file of 1,400 blank digits, modified by `change`."""
    rows = np.zeros((1400, 65), np.int64)
    return gzip.compress('\n'.join(','.join(map(str, row)) for row in change(rows)).encode())


def with_pixel(value):
    def change(rows):
        rows[0, 5] = value
        return rows

    return change


def test_a_file_of_digits_is_read(tmp_path):
    (tmp_path / 'digits.csv.gz').write_bytes(table())
    assert digits.load(str(tmp_path)).size('test') == 50


@pytest.mark.parametrize(
    'raw',
    [
        pytest.param(b'rubbish', id='rubbish'),
        pytest.param(b'', id='empty'),
        pytest.param(gzip.compress(b'<html>'), id='a web page'),
        pytest.param(table()[:-20], id='cut short'),
        pytest.param(table()[:10] + b'\xff' * 50, id='damaged'),
        pytest.param(table(lambda rows: rows[:9]), id='too few'),
        pytest.param(table(lambda rows: rows[:, 1:]), id='without labels'),
        pytest.param(table(with_pixel(999)), id='no byte'),
        pytest.param(table(with_pixel(17)), id='17 of 0..16'),
    ],
)
@pytest.mark.filterwarnings('ignore:loadtxt')
def test_a_file_that_is_not_the_digits_is_refused(tmp_path, raw):
    path = tmp_path / 'digits.csv.gz'
    path.write_bytes(raw)
    with pytest.raises(UserError, match=re.escape(str(path))):
        digits.load(str(tmp_path))
    assert path.read_bytes() == raw


def test_the_digits_equal_scikit_learns():
    """All examples equal those of scikit-learn's loader, in its order: 1,000 + 350 + 447."""
    from sklearn import datasets as theirs

    ours, bunch = digits.load(), theirs.load_digits()
    x = np.concatenate([ours.splits[name]['x'] for name in ('train', 'valid', 'test')])
    label = np.concatenate([ours.splits[name]['label'] for name in ('train', 'valid', 'test')])
    np.testing.assert_array_equal(x[..., 0], bunch.images)
    np.testing.assert_array_equal(label, bunch.target)
    assert [ours.size(name) for name in ('train', 'valid', 'test')] == [1000, 350, 447]
    assert ours.spec == Spec((8, 8, 1), 17, 10)
    assert x.dtype == np.uint8
    assert x.max() == 16
