"""What the modes share: asking for abilities, refusing options, and where their files lie."""

import pathlib
from typing import Any

import jax
import numpy as np

from atelier.core.randomness import Stream, key_for
from atelier.data.dataset import Dataset, Spec
from atelier.errors import UserError, writing
from atelier.log import log
from atelier.run import run_folder
from atelier.run.experiment import Run


def at_least(least: int, **options: int) -> None:
    """Refuses options below `least`.

    Raises:
      UserError: names the option and its value.
    """
    for name, value in options.items():
        if value < least:
            raise UserError(f'--{name}={value}: it must be at least {least}')


def check_seed(seed: int) -> None:
    """Refuses what is no seed.

    Raises:
      UserError: it does not fit 32 bits.
    """
    if not 0 <= seed < 2**32:
        raise UserError(f'--seed={seed}: it must lie in 0..2**32 - 1')


def check_split(run: Run, split: str, least: int, why: str) -> None:
    """Refuses a split of fewer than `least` examples.

    Raises:
      UserError: says why so many are needed.
    """
    if run.data.size(split) < least:
        raise UserError(
            f'the {split} split of {run.data.name} has {run.data.size(split)} examples, fewer than '
            f'{least}: {why}'
        )


def stand_in(values: dict[str, Any], spec: Spec) -> Dataset:
    """Zeros in place of the data of a run with these config `values`, whose Spec is enough."""
    n = values['train']['batch_size']
    split = {'x': np.broadcast_to(np.uint8(0), (n, *spec.event_shape))}
    if spec.num_classes is not None:
        split['label'] = np.zeros(n, np.int32)
    if spec.symbols is not None:
        split['num_scored'] = np.zeros(n, np.int32)
    return Dataset(values['data']['name'], spec, {'train': split}, 'of which nothing is known')


def draw_of_test(run: Run, n: int, seed: int) -> np.ndarray:
    """Indices [n] of the test split in an order that the seed draws: more begin with the same ones.

    Fewer where the split has fewer.
    """
    key = key_for(jax.random.PRNGKey(seed), Stream.SAMPLE)
    return np.asarray(jax.random.permutation(key, run.data.size('test')))[:n]


def how_drawn(run: Run) -> str:
    """For the name of a file of samples: settings of `config.eval.sampler` that the run has not.

    As '-temperature-0.5'; empty where samples are drawn as in training, and of a run of which
    nothing is written.
    """
    if not (run.folder / 'config.json').is_file():
        return ''
    then = run_folder.load(run.folder)['values']['eval'].get('sampler', {})
    now = run.config.eval.get('sampler', {})
    changed = [name for name in now if name in then and now[name] != then[name]]
    return ''.join(f'-{name}-{now[name]}' for name in changed)


def save(run: Run, name: str, arrays: dict[str, np.ndarray]) -> pathlib.Path:
    """Writes the numbers as NAME.npz; returns the path that a picture of them takes.

    Raises:
      UserError: as `run_folder.write_arrays`.
    """
    path = run.folder / 'applications' / f'{name}.npz'
    run_folder.write_arrays(path, arrays)
    log.info('numbers: %s', path)
    return path.with_suffix('.png')


def record(run: Run, name: str, weights: str, numbers: dict[str, Any]) -> None:
    """Writes the few numbers that one looks at first as NAME.json, beside the .npz of `save`.

    Of what they are stands before them: the data, and in words the weights.

    Raises:
      UserError: it cannot be written.
    """
    path = run.folder / 'applications' / f'{name}.json'
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        told = {'data': run.data.description, 'weights': weights, **numbers}
        run_folder.write_json(path, told)
