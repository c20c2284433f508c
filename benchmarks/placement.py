"""Training speed with the data on the device against data streamed from the host.

python -m benchmarks.placement --config=configs/conv_vae.py:mnist --data_dir=TFDS_FOLDER
"""

import contextlib
import pathlib

import jax
import numpy as np
from absl import app, flags

import devices as device_lib
import experiment
import feeding
import states
import train_lib
from benchmarks.timing import alternate, spread

flags.DEFINE_string('config', 'configs/conv_vae.py:mnist', 'which')
flags.DEFINE_string('data_dir', '', 'where TFDS sets lie')
flags.DEFINE_integer('length', 50, 'steps per dispatch')
flags.DEFINE_integer('dispatches', 4, 'of one repeat')
flags.DEFINE_integer('repeats', 7, 'of each arm')


def arm(stack: contextlib.ExitStack, placement: str):
    """A function that trains some dispatches more, fed as `placement` says."""
    values, devices = flags.FLAGS, jax.devices()
    which = experiment.recipe(values.config)
    config = which.config()
    config.data.update(placement=placement, data_dir=values.data_dir)
    config.train.steps = 10**9  # the stream does not end
    run = experiment.assemble(pathlib.Path('unused'), which, config)
    dispatch = train_lib.compile_dispatch(run, values.length, devices)
    next_arrays = stack.enter_context(feeding.feed(run, 0, values.length, devices))
    numbers = device_lib.local_indices(devices)
    box = [device_lib.place(jax.tree.map(np.asarray, states.initial_state(run)), devices)]

    def train():
        for _ in range(values.dispatches):
            box[0], report = dispatch(box[0], next_arrays(), numbers)
            jax.device_get(report)

    return train


def main(_):
    """Prints both arms."""
    device_lib.enable_compilation_cache()
    values = flags.FLAGS
    with contextlib.ExitStack() as stack:
        arms = {placement: arm(stack, placement) for placement in ('device', 'stream')}
        seconds = alternate(arms, values.repeats)
    steps = values.length * values.dispatches
    print(f'{values.config}: steps per second, median (range) of {values.repeats} repeats')
    for name, taken in seconds.items():
        ratio = np.median(seconds['device'] / taken)
        print(f'  {name:8} {spread(steps / taken, 1):28} ratio to device {ratio:.2f}')


if __name__ == '__main__':
    app.run(main)
