"""Time of a training step with augmentation, compared with that of the same step without.

    python -m benchmarks.augmentation_speed
    python -m benchmarks.augmentation_speed --config=configs/conv_vae.py:mnist --path=FOLDER

The arms take turns, dispatch by dispatch. A ratio is that of neighbours in time.
"""

import contextlib
import pathlib

import jax
from absl import flags

from atelier import checkout
from atelier.core import devices as device_lib
from atelier.run import experiment
from benchmarks import outcome
from benchmarks.timing import alternate, spread
from benchmarks.training import trainer

flags.DEFINE_string('config', 'configs/diffusion.py', 'config file')
flags.DEFINE_string('path', '', "config.data.path; '': the config's")
flags.DEFINE_integer('length', 20, 'steps per dispatch')
flags.DEFINE_integer('repeats', 15, 'repeats of each arm')

NONE = 'without'
ARMS = {
    NONE: {},
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
    device_lib.enable_compilation_cache()
    values, result = flags.FLAGS, outcome.Outcome.of_flags('augmentation_speed')
    result.print_heading()
    with contextlib.ExitStack() as stack:
        devices, loss = jax.devices(), _loss_of(run_of({}))
        arms = {
            name: trainer(stack, run_of(augment), values.length, values.length, devices, loss=loss)
            for name, augment in ARMS.items()
        }
        seconds = alternate(arms, values.repeats, result.left())
    print(f'{values.config}: milliseconds a step, median (range) of {values.repeats} repeats')
    if not seconds:
        print('  time was up')
    for name, times in seconds.items():
        ratios = times / seconds[NONE] if NONE in seconds else []
        result.add_arm(name, 1e3 * times / values.length)
        result.add_ratio(f'{name} / {NONE}', ratios)
        ratio = f'ratio {spread(ratios, 3)}' if len(ratios) else ''
        print(f'  {name:40} {spread(1e3 * times / values.length, 3):28} {ratio}')
    result.write()


def _loss_of(run: experiment.Run) -> str:
    """Returns the name of a loss in the report of a step."""
    player = run.family.turns[0].players[0]
    return 'loss' if player == 'model' else f'loss_{player}'


if __name__ == '__main__':
    outcome.run(main)
