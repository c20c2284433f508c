"""Training steps per second against steps per dispatch, and what bfloat16 products change.

    python -m benchmarks.steps_per_dispatch

Data, shuffle, optimizer and the wait for the report as in a run; files and pictures left out. The
ratio is the median over repeats of the ratio to the first arm in the same round.
"""

import contextlib
import pathlib

import jax
import numpy as np
from absl import app, flags

import devices as device_lib
import experiment
from benchmarks.timing import alternate, spread
from benchmarks.training import trainer

flags.DEFINE_string('config', 'configs/vae.py', 'which')
flags.DEFINE_list('lengths', ['1', '10', '100'], 'steps per dispatch')
flags.DEFINE_integer('steps', 200, 'steps of one repeat, divisible by every length')
flags.DEFINE_integer('repeats', 7, 'repeats of each arm')


def main(_):
    """Prints a table."""
    device_lib.enable_compilation_cache()
    values = flags.FLAGS
    which = experiment.recipe(values.config)
    arms = {}
    with contextlib.ExitStack() as stack:
        for precision in ('float32', 'bfloat16'):
            config = which.config()
            config.train.precision = precision
            run = experiment.assemble(pathlib.Path('unused'), which, config)
            for length in map(int, values.lengths):
                arm = trainer(stack, run, length, values.steps, jax.devices())
                arms[f'{precision}, {length} steps a dispatch'] = arm
        seconds = alternate(arms, values.repeats)
    print(f'{values.config}: steps per second, median (range) of {values.repeats} repeats')
    first = next(iter(seconds.values()))
    for name, taken in seconds.items():
        ratio = np.median(first / taken)
        print(f'  {name:34} {spread(values.steps / taken, 0):28} ratio to the first {ratio:.2f}')


if __name__ == '__main__':
    app.run(main)
