"""The files of well-known sets that `benchmarks.mutations` damages."""

import functools
import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from atelier.data import parquet, well_known
from atelier.data.dataset import Dataset
from benchmarks import original_files
from benchmarks.tfds_files import png

SHAPE = (4, 4, 3)  # of the pictures of celeb_a and parquet
# name: (files in the workspace, set, whether the files have checksums)
FILES = {
    'IDX, compressed': ('originals/idx/*', 'mnist', True),
    'IDX': ('originals/plain/*', 'mnist', False),
    'CIFAR-10, archive': ('originals/cifar/*', 'cifar10', True),
    'MATLAB, compressed': ('originals/svhn/*', 'svhn', True),
    'MATLAB': ('originals/svhn-plain/*', 'svhn', False),
    'CelebA, archive': ('originals/celeb_a/*.zip', 'celeb_a', True),
    'CelebA, list of splits': ('originals/celeb_a/*.txt', 'celeb_a', False),
    'parquet': ('originals/parquet/*', 'parquet', False),
}


def make(workspace: pathlib.Path) -> None:
    """Makes the files of each kind in `FILES`."""
    rng, folder = np.random.default_rng(0), workspace / 'originals'
    label = np.arange(10)
    digits = rng.integers(0, 256, (10, 28, 28), np.uint8), label
    x = rng.integers(0, 256, (10, 32, 32, 3), np.uint8)
    original_files.write_idx(folder / 'idx', {'train': digits, 'test': digits})
    original_files.write_idx(folder / 'plain', {'train': digits, 'test': digits}, suffix='')
    for name in ('cifar', 'svhn', 'svhn-plain'):
        (folder / name).mkdir()
    batches = original_files.cifar_batches(x, label, x[:2], label[:2])
    original_files.write_tar(folder / 'cifar' / 'cifar-10-binary.tar.gz', batches)
    for name, compressed in (('svhn', True), ('svhn-plain', False)):
        for split in ('train', 'test'):
            path = folder / name / f'{split}_32x32.mat'
            original_files.write_mat(path, x, (label + 1).astype(np.uint8), compressed)
    small = x[:9, :4, :4]
    pictures = {f'{i}.jpg': png(small[i]) for i in range(len(small))}
    partition = {f'{i}.jpg': i % 3 for i in range(len(small))}
    original_files.write_celeb_a(folder / 'celeb_a', pictures, partition)
    for split in ('train', 'test'):
        path = folder / 'parquet' / f'{split}-00000-of-00001.parquet'
        original_files.write_parquet(path, small, label[:9])


def reader(kind: str, outcome: Callable[[Dataset], Any]) -> Callable[[pathlib.Path], Any]:
    """Returns a function of the workspace that reads the files of a kind as the program does."""
    return functools.partial(_read, kind, outcome)


def _read(kind: str, outcome: Callable[[Dataset], Any], workspace: pathlib.Path) -> Any:
    os.environ['XDG_CACHE_HOME'] = str(workspace / 'cache')
    files, name, _ = FILES[kind]
    folder = str((workspace / files).parent)
    if name == 'parquet':
        return outcome(parquet.load(folder))
    return outcome(
        well_known.load(name, path=folder, image_shape=SHAPE if name == 'celeb_a' else ())
    )
