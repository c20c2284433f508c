"""Time of a training step given numbers, labels or words, compared with that given one label.

    python -m benchmarks.condition_speed
    python -m benchmarks.condition_speed --config=configs/cvae.py

The data are those of the config; their conditions follow from their labels. The arms take turns,
dispatch by dispatch. A ratio is that of neighbours in time.
"""

import functools
import pathlib
from collections.abc import Callable

import numpy as np
from absl import flags

from atelier import checkout
from atelier.data import dataset
from atelier.data.condition_splits import CAPTION, conditioned
from atelier.data.conditions.condition import KEY
from atelier.data.conditions.labels import Labels
from atelier.data.conditions.numbers import Numbers
from atelier.data.dataset import Dataset
from atelier.errors import UserError
from atelier.run import experiment
from benchmarks import outcome
from benchmarks.step_ratios import print_ratios

flags.DEFINE_string('config', 'configs/diffusion.py', 'config file of a conditional model')
flags.DEFINE_integer('length', 20, 'steps per dispatch')
flags.DEFINE_integer('repeats', 15, 'repeats of each arm')


def labelled(data: Dataset) -> Dataset:
    """Returns the data, which have labels.

    Raises:
      UserError: they have none.
    """
    if 'label' not in data.splits['train']:
        raise UserError(f'{data.name} has no labels: choose a --config of data that have them')
    return data


def with_numbers(data: Dataset) -> Dataset:
    """Returns the data with two numbers as the condition."""
    values = lambda label: np.stack([label, label**2], 1).astype(np.float32)
    return _with(data, KEY, values, Numbers(('label', 'square')))


def with_labels(data: Dataset) -> Dataset:
    """Returns the data with two labels as the condition."""
    names = Labels(('tens', 'units'), (('0', '1'), tuple('01234')))
    return _with(data, KEY, lambda label: np.stack([label // 5, label % 5], 1), names)


def with_words(data: Dataset) -> Dataset:
    """Returns the data with captions of four words as the condition."""
    captions = np.array([f'the digit number {n}' for n in range(10)])
    return _with(data, CAPTION, lambda label: captions[label], None)


def _with(data: Dataset, key: str, values: Callable, condition: Labels | Numbers | None) -> Dataset:
    splits = {name: {**split, key: values(split['label'])} for name, split in data.splits.items()}
    spec = data.spec._replace(condition=condition)
    return conditioned(data._replace(splits=splits, spec=spec))


ARMS = {
    'a label': lambda data: data,
    'two numbers': with_numbers,
    'two labels': with_labels,
    'words': with_words,
}


def run_of(change: Callable[[Dataset], Dataset]) -> experiment.Run:
    """Returns the run of the config on changed data; nothing is written to disk."""
    config_file = checkout.config_file(flags.FLAGS.config)
    read = lambda config: change(labelled(dataset.load(config)))
    folder = pathlib.Path('unused')
    return experiment.assemble(folder, config_file, config_file.config(), read=read)


def main(_):
    """Prints all arms."""
    values, result = flags.FLAGS, outcome.Outcome.of_flags('condition_speed')
    runs = {name: functools.partial(run_of, change) for name, change in ARMS.items()}
    print_ratios(result, runs, values.config, values.length, values.repeats, result.left)


if __name__ == '__main__':
    outcome.run(main)
