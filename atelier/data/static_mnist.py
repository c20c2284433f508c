"""Static binarised MNIST (Larochelle and Murray 2011): 50,000, 10,000 and 10,000 binary images."""

import pathlib

import numpy as np

from atelier.data.dataset import Dataset, Spec
from atelier.data.npz_files import open_npz
from atelier.data.splits import SPLITS, fixed_order
from atelier.errors import UserError, reading
from atelier.paths import user_path

SHAPE = (28, 28, 1)
AMAT = 'binarized_mnist_{}.amat'  # as Larochelle published them
PIXELS = 28 * 28
SPACES = np.frombuffer(b' \t\r\n', np.uint8)


def load(path: str = '') -> Dataset:
    """Reads the three splits.

    Args:
      path: an .npz with `train`, `valid`, `test`, each [n, 784] of 0 and 1 or, packed by
        `numpy.packbits`, [n, 98]; or the folder with the original binarized_mnist_*.amat.

    Raises:
      UserError: `path` is empty, or holds other data.
    """
    if not path:
        raise UserError(
            'static_mnist: set config.data.path to an .npz of train, valid and test, or to the '
            f'folder with {AMAT.format("train")}'
        )
    location = user_path(path)
    with reading(location):
        if not location.exists():
            raise UserError(f'config.data.path: {location} does not exist')
        read = _read_amat if location.is_dir() else _read_npz
        bits = read(location)
    splits = {}
    for name in SPLITS:  # the test file is sorted by class
        x = bits[name][fixed_order(len(bits[name]))].reshape(-1, *SHAPE)
        splits[name] = {'x': x}
    return Dataset('static_mnist', Spec(SHAPE, 2, None), splits, 'static binarised MNIST, 28x28')


def _read_npz(path: pathlib.Path) -> dict[str, np.ndarray]:
    with open_npz(path) as arrays:
        missing = [name for name in SPLITS if name not in arrays]
        if missing:
            raise UserError(f'{path} has no {" and no ".join(missing)}: it has {", ".join(arrays)}')
        return {name: _unpacked(arrays[name], f'{name} of {path}') for name in SPLITS}


def _unpacked(array: np.ndarray, name: str) -> np.ndarray:
    if array.dtype == np.uint8 and array.shape[1:] == (PIXELS // 8,) and len(array):
        return np.unpackbits(array, axis=1)
    if array.ndim == 0 or array.size == 0 or array.size != len(array) * PIXELS:
        raise UserError(f'{name} has shape {array.shape}: expected [n, 784], or [n, 98] packed')
    array = array.reshape(-1, PIXELS)
    if not np.isin(array, (0, 1)).all():
        raise UserError(f'{name} holds other values than 0 and 1')
    return array.astype(np.uint8)


def _read_amat(folder: pathlib.Path) -> dict[str, np.ndarray]:
    return {name: _amat(folder / AMAT.format(name)) for name in SPLITS}


def _amat(path: pathlib.Path) -> np.ndarray:
    """Reads lines of 784 space-separated digits 0 or 1; as bytes, because they are 110 MB."""
    if not path.is_file():
        raise UserError(f'config.data.path: there is no {path}')
    text = np.frombuffer(path.read_bytes(), np.uint8)
    bits = text[~np.isin(text, SPACES)] - ord('0')
    if bits.size == 0 or bits.size % PIXELS or bits.max() > 1:
        raise UserError(f'{path} is not binarised MNIST: expected lines of 784 times 0 or 1')
    return bits.reshape(-1, PIXELS)
