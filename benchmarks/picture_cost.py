"""Seconds that the pictures of training cost: whole trainings with and without them.

    python -m benchmarks.picture_cost
    python -m benchmarks.picture_cost --config=configs/realnvp.py:moons

Both arms start in an empty folder and in a process that has trained once, so that programs are
compiled or read from the cache as in a second run. The cost is the difference within a repeat.
"""

import contextlib
import functools
import pathlib
import tempfile
import time
from unittest import mock

import jax
import numpy as np
from absl import flags

import train_lib
from atelier import checkout
from atelier.core import devices as device_lib
from atelier.run import experiment, run_folder
from atelier.training.pictures import Pictures
from benchmarks import outcome
from benchmarks.timing import alternate, spread

flags.DEFINE_string('config', 'configs/vae.py', 'config file')
flags.DEFINE_integer('steps', 0, "steps of a training; 0: the config's")
flags.DEFINE_integer('repeats', 7, 'repeats of each arm')


def trained(stack: contextlib.ExitStack, has_pictures: bool) -> int:
    """Trains the config in a new folder; returns the number of pictures in it."""
    values, config_file = flags.FLAGS, checkout.config_file(flags.FLAGS.config)
    config = config_file.config()
    config.train.steps = values.steps or config.train.steps
    folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory())) / 'run'
    run_folder.check_same(folder, config_file, config)
    run = experiment.assemble(folder, config_file, config)
    nothing = lambda self, state, step, is_last=False: None
    draw = Pictures.draw if has_pictures else nothing
    with mock.patch.object(Pictures, 'draw', draw):
        train_lib.train(run, jax.devices())
    return len([*(folder / 'samples').glob('*')])


def main(_):
    """Prints the seconds of both arms, and their difference."""
    device_lib.enable_compilation_cache()
    values, counts = flags.FLAGS, []
    result = outcome.Outcome.of_flags('picture_cost')
    result.print_heading()
    processor = {'with pictures': [], 'without': []}

    def arm(name: str) -> None:
        began = time.process_time()
        counts.append(trained(stack, name == 'with pictures'))
        processor[name].append(time.process_time() - began)

    with contextlib.ExitStack() as stack:
        arms = {name: functools.partial(arm, name) for name in processor}
        seconds = alternate(arms, values.repeats, result.left())
    if len(seconds) < len(arms):
        print(f'{values.config}: time was up')
        result.write()
        return
    print(f'{values.config}: a training of {max(counts)} pictures')
    print(f'median (range) of {values.repeats} repeats, in seconds, and in those of the processor')
    count = len(seconds['without'])
    table = {name: (seconds[name], np.array(processor[name][1 : count + 1])) for name in arms}
    table['cost'] = np.subtract(table['with pictures'], table['without'])
    for name, times in table.items():
        result.add_arm(name, 1e3 * times[0])
        result.add_arm(name, 1e3 * times[1], 'milliseconds of the processor')
        print(f'  {name:14} {spread(times[0]):26} {spread(times[1])}')
    result.write()


if __name__ == '__main__':
    outcome.run(main)
