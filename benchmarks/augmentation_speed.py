"""Time of a training step with augmentation, compared with that of the same step without.

    python -m benchmarks.augmentation_speed
    python -m benchmarks.augmentation_speed --config=configs/conv_vae.py:mnist --path=FOLDER

The arms take turns, dispatch by dispatch. A ratio is that of neighbours in time.
"""

import functools
import pathlib

from absl import flags

from atelier import checkout
from atelier.run import experiment
from benchmarks import outcome
from benchmarks.step_ratios import print_ratios

flags.DEFINE_string('config', 'configs/diffusion.py', 'config file')
flags.DEFINE_string('path', '', "config.data.path; '': the config's")
flags.DEFINE_integer('length', 20, 'steps per dispatch')
flags.DEFINE_integer('repeats', 15, 'repeats of each arm')

ARMS = {
    'without': {},
    'shift by whole pixels': dict(shift=1.0),
    'shift and scale': dict(shift=0.1, scale=0.1),
    'shift, rotate and scale': dict(shift=0.1, rotate=10.0, scale=0.1),
    'and crop, brightness, contrast, cutout': dict(
        shift=0.1, rotate=10.0, scale=0.1, crop=0.2, brightness=0.1, contrast=0.2, cutout=0.2
    ),
}


def run_of(augment: dict) -> experiment.Run:
    """Returns the run of the config with this augmentation; nothing is written to disk."""
    config_file = checkout.config_file(flags.FLAGS.config)
    config = config_file.config()
    config.data.augment.update(augment)
    config.data.path = flags.FLAGS.path or config.data.path
    return experiment.assemble(pathlib.Path('unused'), config_file, config)


def main(_):
    """Prints all arms."""
    values, result = flags.FLAGS, outcome.Outcome.of_flags('augmentation_speed')
    runs = {name: functools.partial(run_of, augment) for name, augment in ARMS.items()}
    print_ratios(result, runs, values.config, values.length, values.repeats, result.left)


if __name__ == '__main__':
    outcome.run(main)
