"""Speed of training on packed items, compared with an endless text of the same symbols.

    python -m benchmarks.item_speed
    python -m benchmarks.item_speed --config=configs/char_gru.py:lines --path=FILE --seconds=120

The arms train the same network on the same tokens, the items of the training split with their ends:
in packed rows, in windows of an endless text as long as a packed row, and with one item in a row,
whose padding counts for nothing. A speed is the number of tokens of items (padding is none) in a
second. Arms alternate in one process, and a ratio is that of two neighbours.
"""

import contextlib
import pathlib

import jax
import numpy as np
from absl import flags

from atelier import checkout
from atelier.core import devices as device_lib
from atelier.data import items
from atelier.data.dataset import Dataset
from atelier.run import experiment
from benchmarks import outcome
from benchmarks.timing import alternate, spread
from benchmarks.training import trainer

PACKED, TEXT, ALONE = 'packed items', 'endless text', 'one item in a row'
STAND_IN = '\1'  # for the end token, which is a symbol like any other in an endless text
flags.DEFINE_string('config', 'configs/char_lm.py:lines', 'config file, with a source of items')
flags.DEFINE_string('path', '', "file of items; '': the default of the source")
flags.DEFINE_integer('length', 10, 'steps per dispatch')
flags.DEFINE_integer('dispatches', 1, 'dispatches per repeat')
flags.DEFINE_integer('repeats', 7, 'repeats of each arm')


def run_of(name: str, path: str, **data) -> experiment.Run:
    """Returns the run of a config with these fields of config.data; nothing is written to disk."""
    config_file = checkout.config_file(name)
    config = config_file.config()
    config.data.update(path=path, **data)
    return experiment.assemble(pathlib.Path('unused'), config_file, config)


def endless(run: experiment.Run) -> experiment.Run:
    """Returns the run on an endless text of the items of the training split, ends included.

    Its windows are as long as the rows.
    """
    x, spec = run.data.splits['train']['x'], run.data.spec
    windows = np.lib.stride_tricks.sliding_window_view(x[items.is_scored(x)], x.shape[1])
    spec = spec._replace(event_shape=(x.shape[1],), symbols=STAND_IN + spec.symbols[1:])
    data = Dataset(run.data.name, spec, {'train': {'x': windows}}, 'an endless text')
    return run._replace(data=data, family=run.config_file.module().build(run.config, spec))


def tokens_per_step(run: experiment.Run) -> float:
    """Returns the mean number of tokens of a batch that are not padding."""
    return run.config.train.batch_size * run.data.scored_dims('train')


def main(_):
    """Prints the speed of each arm, and its ratio to that of the endless text."""
    device_lib.enable_compilation_cache()
    values, result = flags.FLAGS, outcome.Outcome.of_flags('item_speed')
    packed = run_of(values.config, values.path)
    alone = run_of(values.config, values.path, is_packed=False)
    runs = {PACKED: packed, TEXT: endless(packed), ALONE: alone}
    length, batch = packed.data.splits['train']['x'].shape[1], packed.config.train.batch_size
    result.print_heading(f'{values.config}: rows of {length} tokens, batch size {batch}')
    steps = values.length * values.dispatches
    with contextlib.ExitStack() as stack:
        arms = {
            name: trainer(stack, run, values.length, steps, jax.devices())
            for name, run in runs.items()
        }
        seconds = alternate(arms, values.repeats, result.left())
    rates = {
        name: steps * tokens_per_step(run) / seconds[name] if name in seconds else []
        for name, run in runs.items()
    }
    print(f'tokens of items per second, median (range) of {values.repeats} repeats')
    for name, rate in rates.items():
        result.add_arm(name, rate, 'tokens per second')
        ratios = rate / rates[TEXT] if len(rate) and len(rates[TEXT]) else []
        result.add_ratio(f'{name} / {TEXT}', ratios)
        speed = spread(rate, 0) if len(rate) else 'time was up'
        ratio = f'ratio to {TEXT} {spread(ratios)}' if len(ratios) else ''
        print(f'  {name:18} {speed:30} {ratio}')
    result.write()


if __name__ == '__main__':
    outcome.run(main)
