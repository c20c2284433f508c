"""Opens the parent of a run of codes, and encodes its data."""

import functools
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from atelier.core.code_space import CodeSpace, code_space
from atelier.core.randomness import Stream, key_for
from atelier.data import codes as codes_data
from atelier.data.dataset import Dataset
from atelier.data.preprocess import DEVIATION
from atelier.data.sources import CODES
from atelier.errors import UserError, about
from atelier.log import log
from atelier.multihost import processes
from atelier.paths import user_path
from atelier.run import parent_copy, restore, run_data, run_folder
from atelier.run.experiment import Encoded, Parent, Run
from atelier.run.over_examples import over_examples
from atelier.run.refit import Choice
from atelier.run.restore import TrainedRun

MOVED = ('path', 'data_dir')  # fields of config.data that say where the parent's data are now


def opened(
    folder: pathlib.Path, config: ConfigDict, choice: Choice | None = None
) -> tuple[Parent, Encoded]:
    """Returns the parent of the run of codes in `folder`, and what encodes the parent's data.

    A run that has begun to train has a copy of its parent. A refit, which `choice` describes, has
    the parent of its choosing run. Otherwise the parent is the run that `config.data.run` names. It
    is opened like a stranger's run: nothing in it is trusted.

    Raises:
      UserError: the parent or its weights cannot be opened, it has no such codes, the copy was
        changed, or `config.data.run` names another run than before.
    """
    owner = _owner_of_copy(folder, choice)
    if owner is not None:
        return _of_copy(owner, config)
    if not config.data.run:
        raise UserError('codes are those of a run: set config.data.run to its folder')
    source = user_path(config.data.run)
    with about('config.data.run'):
        if source.resolve() == folder.resolve():
            raise UserError(f'{source} is the folder of this run: give that of its parent')
        run = _reopened(source, config)
        loaded = restore.load(run)
    return _parent(run, config, _record_of(loaded), lambda: loaded)


def _of_copy(owner: pathlib.Path, config: ConfigDict) -> tuple[Parent, Encoded]:
    """Returns what `opened` does, of the copy in the folder `owner`; it raises the same."""
    stored = run_folder.load(owner)
    with about(f'the parent of {owner}'):
        record = parent_copy.check(owner, stored['parent'])
        _check_same_parent(owner, record, stored['values']['data']['run'], config.data.run)
        run = _reopened(owner / parent_copy.FOLDER, config)
    return _parent(run, config, record, functools.cache(lambda: restore.load(run)))


def _parent(
    run: Run, config: ConfigDict, record: dict[str, Any], trained: Callable[[], TrainedRun]
) -> tuple[Parent, Encoded]:
    """Returns what `opened` does, of an opened parent with this record; it raises the same."""
    space = code_space(run.family, config.data.codes, str(run.folder))
    parent = Parent(run, record['digest'], record['step'], space)
    return parent, lambda: encoded(parent, trained)


def _owner_of_copy(folder: pathlib.Path, choice: Choice | None) -> pathlib.Path | None:
    """Returns the folder of the run whose copy of the parent counts; None: there is no copy yet."""
    if (folder / 'config.json').is_file() and run_folder.has_begun(folder):
        return folder
    return pathlib.Path(choice.run) if choice is not None else None


def _check_same_parent(folder: pathlib.Path, record: dict[str, Any], then: str, now: str) -> None:
    """Checks that a new `config.data.run` is the same run elsewhere, and not another one.

    Otherwise, the codes would be those of the copy, and nobody would notice.

    Args:
      folder: the folder with the copy.
      record: of the copy.
      then: the path of the run when it was copied.
      now: its path according to `config.data.run`; '' if that is not set.

    Raises:
      UserError: it is another run.
    """
    if not now or user_path(now).resolve() == user_path(then).resolve():
        return
    copy = folder / parent_copy.FOLDER
    if not (user_path(now) / 'config.json').is_file():
        log.warning('config.data.run=%s is no run: its copy %s is used', now, copy)
        return
    if not _is_copied(user_path(now), copy, record):
        raise UserError(
            f'{copy} is a copy of {then}, and config.data.run={now} is another run: choose another '
            '--workdir for its codes'
        )


def _is_copied(source: pathlib.Path, copy: pathlib.Path, record: dict[str, Any]) -> bool:
    """Whether a run is the one that was copied: the same id, or, of runs of earlier versions, which
    have none, the same files.
    """
    run_id = run_folder.load(source)['id']
    if run_id is None:
        return parent_copy.digest_of(source, record['step']) == record['digest']
    return run_id == run_folder.load(copy)['id']


def _reopened(source: pathlib.Path, config: ConfigDict) -> Run:
    """Returns the parent, opened for use, with the places of its data that `config` gives.

    Raises:
      UserError: it cannot be opened, or it is a run of codes itself.
    """
    if run_folder.load(source)['values']['data']['name'] == CODES:
        raise UserError(f'{source} is itself a run of codes: give a run of other data')
    moved = {f'data.{name}': config.data[name] for name in MOVED if config.data[name]}
    return run_folder.reopen(source, moved, reads=None)


def _record_of(trained: TrainedRun) -> dict[str, Any]:
    """Returns the digest and the step of a parent that has no copy yet, in every process."""
    step, folder = int(trained.state.step), trained.run.folder
    digest = parent_copy.digest_of(folder, step) if processes.is_first() else ''
    return {'digest': processes.text_from_first(digest), 'step': step}


def encoded(parent: Parent, trained: Callable[[], TrainedRun]) -> Dataset:
    """Returns the codes of all examples of the parent's data, with their labels.

    An example of the parent's data that is drawn at each showing, such as a binarised image, is
    drawn once, as in an evaluation.

    Args:
      parent: the parent.
      trained: returns it with its weights.

    Raises:
      UserError: the parent's data cannot be read.
    """
    loaded = trained()
    data = run_data.with_data(parent.run, 'their codes are the data of another run').data
    log.info('encoding the data of %s: %s', parent.run.folder, loaded.weights)
    size, devices = parent.run.config.eval.batch_size, jax.devices()
    apply = over_examples(_encoder(parent.space), data, size, devices)
    key = key_for(loaded.state.key, Stream.EVALUATE)
    splits = {
        name: apply(loaded.state, key, split, data.size(name)) | _labels(split)
        for name, split in data.splits.items()
    }
    space, spec = parent.space, data.spec
    shape = space.shape or splits['train']['x'].shape[1:]
    fingerprint = data.fingerprint()
    return codes_data.as_data(
        splits,
        shape,
        space.levels,
        spec,
        description=f'{space.kind} of {data.description}',
        computed_from={
            name: f'{space.kind} of {parent.digest[:16]} of {fingerprint[name]}' for name in splits
        },
    )


def _encoder(space: CodeSpace) -> Callable:
    def encode(weights, batch, rng):
        x, deviation = space.encode(weights, batch, rng)
        return {'x': x} if deviation is None else {'x': x, DEVIATION: deviation}

    return encode


def _labels(split: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {'label': split['label']} if 'label' in split else {}
