"""Samples and reconstructions of a trained family, as arrays and as grids."""

import pathlib
from collections.abc import Callable, Sequence

import jax
import numpy as np

import pictures
from errors import UserError
from evaluation.per_example import over_examples
from experiment import Run


def sampler(run: Run, devices: Sequence[jax.Device]) -> Callable:
    """Returns sample(state, key, n) -> x [n, *event]; sample i depends on (key, i) alone.

    Raises:
      UserError: the family cannot sample.
    """
    if run.family.sample is None:
        raise UserError(f'the model of {run.folder} cannot sample')

    def sample(params, extra, batch, draw):
        del batch
        return run.family.sample(params, extra, draw, None)

    apply = over_examples(sample, run.data, run.config.eval.batch_size, devices)
    return lambda state, key, n: apply(state, key, {}, n)


def reconstructor(run: Run, devices: Sequence[jax.Device]) -> Callable | None:
    """Returns reconstruct(state, key, split, n) -> (x, reconstruction), or None without one."""
    if run.family.reconstruct is None:
        return None

    def reconstruct(params, extra, batch, draw):
        return batch['x'], run.family.reconstruct(params, extra, batch, draw)

    return over_examples(reconstruct, run.data, run.config.eval.batch_size, devices)


def save_pairs(path: pathlib.Path, x: np.ndarray, reconstruction: np.ndarray, spec) -> None:
    """A grid with originals in odd rows and, below each, its reconstruction."""
    columns = min(len(x), 16)
    whole = len(x) // columns * columns
    rows = [part[:whole].reshape(-1, columns, *spec.event_shape) for part in (x, reconstruction)]
    paired = np.stack(rows, axis=1).reshape(-1, *spec.event_shape)
    pictures.save(path, pictures.grid(paired, spec, columns))
