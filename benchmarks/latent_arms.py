"""The arms of `benchmarks.latent_speed`: one U-Net on pixels and on maps of codes."""

import contextlib

import jax
import numpy as np

from atelier.core.code_space import DRAWS
from atelier.data import codes
from atelier.data.preprocess import DEVIATION
from atelier.run import experiment, restore
from benchmarks import precisions, training
from benchmarks.diffusion_runs import SIZES, bits, run_of
from benchmarks.worker import Arm, main

IMAGES = 10_000
_open = contextlib.ExitStack()  # data streams, until the process ends


def make_training(of: str, size: str, precision: str, steps: int) -> Arm:
    """Returns an arm that trains `steps` steps a call; facts: its number of parameters.

    `of` is 'pixels', the bits of images of this size, or 'codes', draws from the posteriors of a
    map of numbers, 7x7x4 of them for 28x28 pixels.
    """
    train_precision = precisions.set_products(precision)
    images = bits(SIZES[size], '')[:IMAGES]
    run = run_of(SIZES[size], images, train_precision)
    if of == 'codes':
        run = on_codes(run, SIZES[size].map_shape)
    train = training.trainer(_open, run, steps, steps, jax.devices()[:1], wait=False)
    params = restore.initial_state(run).params['model']
    return Arm(train, dict(count=sum(x.size for x in jax.tree.leaves(params))))


def on_codes(run: experiment.Run, map_shape: tuple[int, int, int]) -> experiment.Run:
    """Returns the run with as many codes as it has images: random ones, because time is measured.

    Like those of a VAE, they are drawn at each showing.
    """
    rng, n = np.random.default_rng(0), run.data.size('train')
    arrays = {
        'x': rng.standard_normal((n, *map_shape), np.float32),
        DEVIATION: np.full((n, *map_shape), 0.3, np.float32),
    }
    train = {name: array.reshape(n, -1) for name, array in arrays.items()}
    data = codes.as_data({'train': train}, map_shape, None, run.data.spec, DRAWS, {})
    family = experiment.built(run.config_file.build, run.config, data.spec)
    return run._replace(data=data, family=family)


if __name__ == '__main__':
    main(make_training)
