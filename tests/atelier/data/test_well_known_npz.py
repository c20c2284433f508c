"""The layout of Keras's mnist.npz."""

import pickle

import numpy as np
import pytest

from atelier.data import well_known_npz as npz
from atelier.data.original.known import KNOWN

MNIST = KNOWN['mnist']
X, Y = np.arange(6 * 784).reshape(6, 28, 28).astype(np.uint8), np.arange(6, dtype=np.uint8)


def read(path, **arrays):
    np.savez(path / 'mnist.npz', **arrays)
    return npz.read(npz.find(path, MNIST), MNIST)


@pytest.mark.parametrize('key', ['y', 'label'])
@pytest.mark.parametrize('x', [X, X[..., None]])
@pytest.mark.parametrize('y', [Y, Y[:, None], Y.astype(np.int64)])
def test_the_layout_is_read(tmp_path, key, x, y):
    assert npz.find(tmp_path, MNIST) == ()
    arrays = {f'{key}_train': y, f'{key}_test': y[:2]}
    splits = read(tmp_path, x_train=x, x_test=x[:2], **arrays)
    assert {name: len(part.x) for name, part in splits.items()} == {'train': 6, 'test': 2}


@pytest.mark.parametrize(
    'arrays',
    [
        dict(x=X, y=Y),
        dict(x_train=X, y_train=Y),
        dict(x_train=X, x_test=X),
        dict(x_train=X, y_train=Y[:5], x_test=X, y_test=Y),
        dict(x_train=X / 255, y_train=Y, x_test=X, y_test=Y),
        dict(x_train=X.reshape(6, -1), y_train=Y, x_test=X, y_test=Y),
        dict(x_train=X, y_train=Y / 2, x_test=X, y_test=Y),
        dict(x_train=np.float64(3), y_train=Y, x_test=X, y_test=Y),
    ],
)
def test_other_arrays_are_refused(tmp_path, complaint, arrays):
    assert 'is not mnist' in complaint(read, tmp_path, **arrays)


def test_pickles_are_refused(tmp_path, complaint):
    objects = np.array([{}] * 6, object)
    line = complaint(read, tmp_path, x_train=X, y_train=objects, x_test=X, y_test=Y)
    assert 'Python objects' in line
    (tmp_path / 'mnist.npz').write_bytes(pickle.dumps(X))
    assert 'not an .npz' in complaint(npz.read, npz.find(tmp_path, MNIST), MNIST)
