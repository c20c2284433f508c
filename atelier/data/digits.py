"""The 1,797 handwritten 8x8 digits shipped with scikit-learn (Alpaydin and Kaynak 1998)."""

import gzip
import importlib.util
import pathlib
import zlib

import numpy as np

from atelier.data.dataset import Dataset, Spec
from atelier.errors import UserError
from atelier.paths import user_path

NUM_TRAIN, NUM_VALID = 1000, 350  # in the order of the file; the last 447 are the test split
LEVELS = 17  # each pixel counts the dark pixels of a 4x4 block: 0..16


def load(data_dir: str = '') -> Dataset:
    """Reads `digits.csv.gz` from `data_dir`, or from the installed scikit-learn.

    It reads the file without importing scikit-learn, which would take ten times as long.

    Raises:
      UserError: the file is missing or is not the digits.
    """
    path = _find(data_dir)
    try:
        with gzip.open(path, 'rt') as lines:
            table = np.loadtxt(lines, delimiter=',', dtype=np.uint8)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UserError(f'cannot read the digits in {path}: {error}') from error
    if table.ndim != 2 or table.shape[1] != 65 or len(table) <= NUM_TRAIN + NUM_VALID:
        raise UserError(f'{path} is not the digits: expected rows of 64 pixels and a label')
    if table[:, :64].max() >= LEVELS:
        raise UserError(f'{path} is not the digits: expected pixels of 0..{LEVELS - 1}')
    x, label = table[:, :64].reshape(-1, 8, 8, 1), table[:, 64].astype(np.int32)
    cuts = [NUM_TRAIN, NUM_TRAIN + NUM_VALID]
    splits = {
        name: {'x': x_part, 'label': label_part}
        for name, x_part, label_part in zip(
            ('train', 'valid', 'test'), np.split(x, cuts), np.split(label, cuts), strict=True
        )
    }
    return Dataset(
        name='digits',
        spec=Spec(event_shape=(8, 8, 1), levels=LEVELS, num_classes=10),
        splits=splits,
        description='8x8 digits with 17 grey levels 0..16',
    )


def _find(data_dir: str) -> pathlib.Path:
    if data_dir:
        path = user_path(data_dir) / 'digits.csv.gz'
        if not path.exists():
            raise UserError(
                f'no {path}; leave config.data.data_dir empty to read the digits from scikit-learn'
            )
        return path
    sklearn = importlib.util.find_spec('sklearn')
    if sklearn is None or not sklearn.origin:
        raise UserError('the digits come with scikit-learn: pip install scikit-learn')
    return pathlib.Path(sklearn.origin).parent / 'datasets' / 'data' / 'digits.csv.gz'
