"""What PCA leaves of the test split: the error that an autoencoder of this code size has to beat.

    python -m benchmarks.pca_error --config=configs/conv_autoencoder.py:mnist --components=32

Fitted on the training split of the config's data; 1/2 ||x - x^||^2 of normalized x, as the
`squared_error` of an autoencoder. A reconstruction outside of the data's interval counts as it is,
and once more moved to the interval, which can only bring it nearer.
"""

from typing import NamedTuple

import jax
import numpy as np
from absl import app, flags
from jaxtyping import Float

import experiment
import game
from datasets import dataset
from datasets.dataset import Dataset
from losses.reconstruction import half_squared_error

flags.DEFINE_string('config', 'configs/autoencoder.py', 'whose data')
flags.DEFINE_string('data_dir', '', 'where TFDS sets lie')
flags.DEFINE_multi_integer('components', [8], 'of PCA; give it again for more')

CHUNK = 10_000  # examples at once


class Principal(NamedTuple):
    """Directions in which data vary most, and their mean; [dims] and [components, dims]."""

    mean: np.ndarray
    axes: np.ndarray


def normalized(data: Dataset, split: str) -> Float[np.ndarray, 'n dims']:
    """x of a split as networks see it, one row an example."""
    arrays, rows = data.splits[split], []
    for start in range(0, data.size(split), CHUNK):
        part = {name: values[start : start + CHUNK] for name, values in arrays.items()}
        size = len(part['x'])
        key = game.address(jax.random.PRNGKey(0), game.Purpose.PREPROCESS)
        keys = game.draw_for(key, start + np.arange(size), size).keys
        x = data.spec.normalize(data.preprocess(part, keys)['x'])
        rows.append(np.asarray(x).reshape(size, -1))
    return np.concatenate(rows)


def fit(x: Float[np.ndarray, 'n dims']) -> Principal:
    """All components of x, the largest first (Pearson 1901)."""
    mean = x.mean(0, np.float64)
    away = (x - mean).astype(np.float32)
    _, vectors = np.linalg.eigh((away.T @ away).astype(np.float64))
    return Principal(mean, vectors.T[::-1])


def reconstruct(pca: Principal, x: Float[np.ndarray, 'n dims'], components: int) -> np.ndarray:
    """x projected on the mean and so many directions."""
    axes = pca.axes[:components]
    return (pca.mean + (x - pca.mean) @ axes.T @ axes).astype(np.float32)


def mean_and_error(values) -> str:
    """In words: the mean over examples and its standard error."""
    values = np.asarray(values, np.float64)
    return f'{values.mean():.4f} +- {values.std(ddof=1) / np.sqrt(len(values)):.4f}'


def main(_):
    """Prints a line for each number of components."""
    values = flags.FLAGS
    config = experiment.recipe(values.config).config()
    with config.unlocked():
        config.data.data_dir = values.data_dir
    data = dataset.load(config)
    pca, x = fit(normalized(data, 'train')), normalized(data, 'test')
    print(f'{len(x)} test examples of {data.description}: PCA of {data.size("train")} others')
    for components in values.components:
        seen = reconstruct(pca, x, components)
        errors = [half_squared_error(x, seen)]
        if data.spec.interval is not None:
            errors.append(half_squared_error(x, np.clip(seen, 0, 1)))
        told = ', moved to the interval '.join(map(mean_and_error, errors))
        print(f'  {components:5} components: squared_error {told}')


if __name__ == '__main__':
    app.run(main)
