"""Training steps per second as a function of steps per dispatch.

    python -m benchmarks.steps_per_dispatch
    python -m benchmarks.steps_per_dispatch --config=configs/vae.py:mnist --data_dir=TFDS_FOLDER

Data, shuffle, optimizer and the wait for the report are those of a run; files and images are left
out. The ratio is the median over repeats of the ratio to the first arm in the same repeat.
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

flags.DEFINE_string('config', 'configs/vae.py', 'config file')
flags.DEFINE_string('data_dir', '', 'folder of the TFDS data sets')
flags.DEFINE_list('lengths', ['1', '10', '100', 'epoch'], 'steps per dispatch')
flags.DEFINE_list('precisions', ['float32'], 'precisions of matrix products: float32, bfloat16')
flags.DEFINE_integer('steps', 200, 'minimum steps per repeat, rounded up to whole dispatches')
flags.DEFINE_integer('repeats', 7, 'repeats of each arm')


def main(_):
    """Prints a table."""
    device_lib.enable_compilation_cache()
    values, result = flags.FLAGS, outcome.Outcome.of_flags('steps_per_dispatch')
    result.print_heading()
    config_file = checkout.config_file(values.config)
    arms, steps = {}, {}
    with contextlib.ExitStack() as stack:
        for precision in values.precisions:
            config = config_file.config()
            config.train.precision, config.data.data_dir = precision, values.data_dir
            run = experiment.assemble(pathlib.Path('unused'), config_file, config)
            epoch = max(1, run.data.size('train') // config.train.batch_size)
            for length_flag in values.lengths:
                length = epoch if length_flag == 'epoch' else int(length_flag)
                name = f'{precision}, {length}{" (an epoch)" if length_flag == "epoch" else ""}'
                steps[name] = -(-values.steps // length) * length
                arms[name] = trainer(stack, run, length, steps[name], jax.devices())
        seconds = alternate(arms, values.repeats, result.left())
    rates = {name: steps[name] / times for name, times in seconds.items()}
    print(f'{values.config}: steps per second, median (range) of {values.repeats} repeats')
    if not rates:
        print('  time was up')
    first = next(iter(rates.values()), None)
    for name, rate in rates.items():
        result.add_arm(f'{name} a dispatch', 1e3 / rate)
        result.add_ratio(f'{name} a dispatch / the first', rate / first)
        ratio = f'ratio to the first {np.median(rate / first):.2f}'
        print(f'  {name + " a dispatch":34} {spread(rate, 0):28} {ratio}')
    result.write()


if __name__ == '__main__':
    outcome.run(main)
