"""SVHN's MATLAB files: labels 1 to 10 become digits, and mistaken files are refused."""

import numpy as np
import pytest

from atelier.data.original import svhn
from atelier.data.original.known import KNOWN
from benchmarks.original_files import write_mat

SVHN = KNOWN['svhn']
RNG = np.random.default_rng(0)
X, LABEL = RNG.integers(0, 256, (12, 32, 32, 3), np.uint8), np.arange(12) % 10 + 1


def write(folder, x=X, label=LABEL, **options):
    write_mat(folder / 'train_32x32.mat', x, label, **options)
    write_mat(folder / 'test_32x32.mat', X[:3], LABEL[:3].astype(np.uint8))
    return folder


@pytest.mark.parametrize('kind', [np.uint8, np.float64])
def test_the_pictures_and_digits_are_read(tmp_path, kind):
    files = svhn.find(write(tmp_path, label=LABEL.astype(kind)), SVHN)
    splits = svhn.read(files, SVHN)
    np.testing.assert_array_equal(splits['train'].x, X)
    assert splits['train'].label.tolist() == (LABEL % 10).tolist()
    assert len(splits['test'].x) == 3


def test_a_missing_file_is_named(tmp_path, complaint):
    assert svhn.find(tmp_path, SVHN) == ()
    (write(tmp_path) / 'test_32x32.mat').unlink()
    assert 'lacks test_32x32.mat' in complaint(svhn.find, tmp_path, SVHN)


@pytest.mark.parametrize(
    ('x', 'label'),
    [
        (X[:, :31], LABEL),
        (X, LABEL - 1),
        (X, LABEL + 1),
        (X, LABEL + 0.5),
        (X, np.full(12, np.nan)),
        (X, LABEL[:11]),
        (X.astype(np.float64), LABEL),
        (X[0], LABEL),
    ],
)
def test_other_arrays_are_refused(tmp_path, complaint, x, label):
    files = svhn.find(write(tmp_path, x, label), SVHN)
    assert 'is not svhn' in complaint(svhn.read, files, SVHN)
