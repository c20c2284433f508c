"""Training steps per second against steps per dispatch, and what bfloat16 products change.

    python -m benchmarks.steps_per_dispatch

Data, shuffle, optimizer and the wait for the report as in a run; files and pictures left out. The
ratio is the median over repeats of the ratio to the first arm in the same round.
"""

import pathlib

import jax
import numpy as np
from absl import app, flags

import devices as device_lib
import experiment
import states
import train_lib
from benchmarks.timing import alternate, spread

flags.DEFINE_string('config', 'configs/vae.py', 'which')
flags.DEFINE_list('lengths', ['1', '10', '100'], 'steps per dispatch')
flags.DEFINE_integer('steps', 200, 'steps of one repeat, divisible by every length')
flags.DEFINE_integer('repeats', 7, 'repeats of each arm')


def arm(run: experiment.Run, length: int, steps: int):
    """A function that trains `steps` more steps, `length` a dispatch, as the loop does."""
    devices = jax.devices()
    dispatch = train_lib.compile_dispatch(run, length, devices)
    data = device_lib.place(run.data.splits['train'], devices)
    numbers = device_lib.local_indices(devices)
    box = [device_lib.place(jax.tree.map(np.asarray, states.initial_state(run)), devices)]

    def train():
        for _ in range(steps // length):
            box[0], report = dispatch(box[0], data, numbers)
            jax.device_get(report)

    return train


def main(_):
    """Prints a table."""
    device_lib.enable_compilation_cache()
    values = flags.FLAGS
    which = experiment.recipe(values.config)
    arms = {}
    for precision in ('float32', 'bfloat16'):
        config = which.config()
        config.train.precision = precision
        run = experiment.assemble(pathlib.Path('unused'), which, config)
        for length in map(int, values.lengths):
            arms[f'{precision}, {length} steps a dispatch'] = arm(run, length, values.steps)
    seconds = alternate(arms, values.repeats)
    print(f'{values.config}: steps per second, median (range) of {values.repeats} repeats')
    first = next(iter(seconds.values()))
    for name, taken in seconds.items():
        ratio = np.median(first / taken)
        print(f'  {name:34} {spread(values.steps / taken, 0):28} ratio to the first {ratio:.2f}')


if __name__ == '__main__':
    app.run(main)
