"""Training speed with data on the device, compared with data streamed from the host.

python -m benchmarks.placement --config=configs/conv_vae.py:mnist --data_dir=TFDS_FOLDER
"""

import contextlib
import pathlib

import jax
import numpy as np
from absl import flags

from atelier import checkout
from atelier.core import devices as device_lib
from atelier.run import experiment
from benchmarks import outcome
from benchmarks.timing import alternate, spread
from benchmarks.training import trainer

flags.DEFINE_string('config', 'configs/conv_vae.py', 'config file')
flags.DEFINE_string('data_dir', '', 'folder of the TFDS data sets')
flags.DEFINE_integer('length', 50, 'steps per dispatch')
flags.DEFINE_integer('dispatches', 4, 'dispatches per repeat')
flags.DEFINE_integer('repeats', 7, 'repeats of each arm')


def run_of(placement: str) -> experiment.Run:
    """Returns the run of the config with this data placement; nothing is written to disk."""
    config_file = checkout.config_file(flags.FLAGS.config)
    config = config_file.config()
    config.data.update(placement=placement, data_dir=flags.FLAGS.data_dir)
    return experiment.assemble(pathlib.Path('unused'), config_file, config)


def main(_):
    """Prints both arms."""
    device_lib.enable_compilation_cache()
    values, result = flags.FLAGS, outcome.Outcome.of_flags('placement')
    result.print_heading()
    steps = values.length * values.dispatches
    with contextlib.ExitStack() as stack:
        arms = {
            placement: trainer(stack, run_of(placement), values.length, steps, jax.devices())
            for placement in ('device', 'stream')
        }
        seconds = alternate(arms, values.repeats, result.left())
    print(f'{values.config}: steps per second, median (range) of {values.repeats} repeats')
    if not seconds:
        print('  time was up')
    for name, times in seconds.items():
        ratios = seconds['device'] / times if 'device' in seconds else []
        result.add_arm(name, 1e3 * times / steps)
        result.add_ratio(f'{name} / device', ratios)
        ratio = f'ratio to device {np.median(ratios):.2f}' if len(ratios) else ''
        print(f'  {name:8} {spread(steps / times, 1):28} {ratio}')
    result.write()


if __name__ == '__main__':
    outcome.run(main)
