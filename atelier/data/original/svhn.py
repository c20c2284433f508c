"""The cropped digits of SVHN in their original MATLAB files; `extra_32x32.mat` is not read."""

import pathlib

import numpy as np

from atelier.data.original.known import Known
from atelier.data.original.matlab import read_matrices
from atelier.data.original.pictures import Pictures, checked
from atelier.errors import UserError

SPLITS = ('train', 'test')


def find(folder: pathlib.Path, known: Known) -> tuple[pathlib.Path, ...]:
    """Returns the files of the training and the test split, or () if the folder has neither.

    Raises:
      UserError: one is missing.
    """
    files = tuple(folder / name for name in known.files)
    missing = [file.name for file in files if not file.exists()]
    if len(missing) == len(files):
        return ()
    if missing:
        raise UserError(f'{folder} lacks {missing[0]}: fetch it from {known.address}')
    return files


def read(files: tuple[pathlib.Path, ...], known: Known) -> dict[str, Pictures]:
    """Returns the splits of the files that `find` returned; the label of digit 0 is 0, not 10.

    Raises:
      UserError: one is damaged, or is not of this set.
    """
    splits = {}
    for split, path in zip(SPLITS, files, strict=True):
        arrays = read_matrices(path, ('X', 'y'))
        x, y = arrays['X'], arrays['y'].reshape(-1)
        if x.ndim != 4 or y.size == 0 or not 1 <= y.min() <= y.max() <= 10 or (y % 1).any():
            raise UserError(
                f'{path} is not {known.name}: expected X [32, 32, 3, n], y from 1 to 10'
            )
        x = np.moveaxis(x, -1, 0)
        splits[split] = checked(known, split, x, y.astype(np.int32) % 10, path)
    return splits
