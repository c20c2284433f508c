"""Our arms of `benchmarks.diffusion_speed` and its limit, each in a process of its own."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np

from atelier.core import devices as device_lib
from atelier.evaluation.samples.sampling import sampler
from atelier.run import restore
from benchmarks import matrix_rate, precisions, training
from benchmarks.diffusion_runs import SIZES, bits, brightness, perturbed, run_of
from benchmarks.worker import Arm, main

LARGE, PRODUCTS = 4096, 4  # side of the matrices that measure the peak rate; product pairs per call
_open = contextlib.ExitStack()  # data streams, until the process ends


def make_training(name: str, precision: str, data_dir: str, steps: int) -> Arm:
    """Returns an arm that trains a size `steps` steps a call; facts: its number of parameters."""
    run, one = _run(name, precision, data_dir), jax.devices()[:1]
    train = training.trainer(_open, run, steps, steps, one, wait=False)
    params = restore.initial_state(run).params['model']
    return Arm(train, dict(parameters=sum(x.size for x in jax.tree.leaves(params))))


def make_sampling(name: str, precision: str, data_dir: str) -> Arm:
    """Returns an arm that draws a batch, and whose losses are the brightness of the samples."""
    run, one = _run(name, precision, data_dir), jax.devices()[:1]
    state = restore.initial_state(run)
    weights = {'model': perturbed(jax.tree.map(np.asarray, state.params['model']))}
    state = device_lib.place(state.replace(params=weights, ema=weights), one)
    draw, size = sampler(run, one), SIZES[name].batch
    keys = iter(range(1 << 30))

    def sample() -> np.ndarray:
        return brightness(np.asarray(draw(state, jax.random.PRNGKey(next(keys)), size)))

    return Arm(sample)


def make_limit(precision: str) -> Arm:
    """Returns an arm that multiplies large matrices, the best rate of a step; facts: its FLOP."""
    precisions.set_products(precision)
    side = (LARGE if jax.default_backend() != 'cpu' else LARGE // 4,) * 3
    multiply = matrix_rate.arm(
        side, jnp.bfloat16 if precision == 'bfloat16' else jnp.float32, PRODUCTS
    )

    def measure() -> None:
        multiply()  # its product is no loss

    return Arm(measure, dict(flop=matrix_rate.flop(side, PRODUCTS)))


def _run(name: str, precision: str, data_dir: str):
    train_precision = precisions.set_products(precision)
    return run_of(SIZES[name], bits(SIZES[name], data_dir), train_precision)


if __name__ == '__main__':
    main(make_training, make_sampling, make_limit)
