"""Samples from a trained model: a PNG grid where they are images, and an .npz."""

import jax
import numpy as np

import game
import pictures
import states
from errors import UserError, writing
from evaluation.sampling import sampler
from experiment import Run
from reporting import log


def apply(run: Run, num_samples: int = 64, seed: int = 0) -> np.ndarray:
    """Draws x [num_samples, *event] and writes it to the run's folder `samples`.

    Sample i depends on (seed, i) and the weights alone: more samples begin with the same ones.

    Raises:
      UserError: the family cannot sample, or there is no checkpoint.
    """
    if not 0 <= seed < 2**32:
        raise UserError(f'--seed={seed}: it must lie in 0..2**32 - 1')
    if num_samples < 1:
        raise UserError(f'--num_samples={num_samples}: it must be at least 1')
    sample = sampler(run, jax.devices())
    state, weights = states.load_state(run)
    key = game.address(jax.random.PRNGKey(seed), game.Purpose.SAMPLE)
    x = sample(state, key, num_samples)
    path = run.folder / 'samples' / f'seed-{seed}.npz'
    with writing(path):
        path.parent.mkdir(exist_ok=True)
        np.savez_compressed(path, x=x)
    log.info('%d samples of the %s: %s', num_samples, weights, path)
    if pictures.is_image(run.data.spec):
        pictures.save(path.with_suffix('.png'), pictures.grid(x, run.data.spec))
        log.info('as a picture: %s', path.with_suffix('.png'))
    return x
