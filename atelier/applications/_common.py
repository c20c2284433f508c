"""What applications share: they check options, and write arrays and figures."""

import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from atelier.core.randomness import Stream, key_for
from atelier.data.dataset import Dataset, Spec
from atelier.errors import UserError, writing
from atelier.log import log
from atelier.report import image_grids
from atelier.run import run_folder
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun


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


def random_test_indices(run: Run, n: int, seed: int) -> np.ndarray:
    """Indices [n] of the test split in an order that the seed draws: more begin with the same ones.

    Fewer where the split has fewer.
    """
    key = key_for(jax.random.PRNGKey(seed), Stream.SAMPLE)
    return np.asarray(jax.random.permutation(key, run.data.size('test')))[:n]


def changed_sampler(run: Run) -> str:
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


def save(
    trained: TrainedRun,
    name: str,
    arrays: dict[str, np.ndarray],
    numbers: dict[str, Any] | None = None,
) -> pathlib.Path:
    """Writes the arrays as NAME.npz; returns the path of a figure of them, NAME.png.

    The few numbers that one looks at first, if any, go to NAME.json, behind a description of the
    data and of the weights.

    Raises:
      UserError: a file cannot be written.
    """
    path = trained.run.folder / 'applications' / f'{name}.npz'
    run_folder.write_arrays(path, arrays)
    log.info('numbers: %s', path)
    if numbers is not None:
        source = {'data': trained.run.data.description, 'weights': trained.weights}
        with writing(path.with_suffix('.json')):
            run_folder.write_json(path.with_suffix('.json'), {**source, **numbers})
    return path.with_suffix('.png')


def draw_grid(
    path: pathlib.Path,
    x: np.ndarray,
    spec: Spec,
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
) -> None:
    """Writes images [..., *event] in order, as many in a row as there are names of columns.

    Raises:
      UserError: it cannot be written.
    """
    image = image_grids.grid(x.reshape(-1, *spec.event_shape), spec, len(columns))
    image_grids.save_labelled(path, image, title, rows, columns)
    log.info('as a picture: %s', path)


def draw_figure(path: pathlib.Path, figure) -> None:
    """Writes a figure of matplotlib.

    Raises:
      UserError: it cannot be written.
    """
    image_grids.save_figure(path, figure)
    log.info('as a picture: %s', path)
