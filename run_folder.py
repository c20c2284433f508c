"""A run is a folder, and the config in it: opening, refusing, and remembering.

config.json       the config file's path, argument, source and values, and the code's git hash
metrics.jsonl     one object a line
tensorboard/      the same for TensorBoard
checkpoints/      Orbax, one folder a step
samples/          pictures and arrays
evaluation.json   the last evaluation, with all that is needed to trust it
"""

import contextlib
import fcntl
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from ml_collections import ConfigDict

from changes import git_hash, warn_if_code_changed, warn_if_data_changed
from errors import UserError, reading, writing
from experiment import Build, Recipe, Run, assemble
from places import user_path
from reporting import log

RECORD = ('path', 'argument', 'values', 'source', 'git', 'init_from', 'devices', 'data')
MAY_MOVE = ('data.path', 'data.data_dir', 'data.placement')  # where data lie, not what they are
SAME_IN_A_RUN = ('seed', 'data', 'model', 'hypers', 'train')  # config.eval may change at any time


def load(folder: pathlib.Path) -> dict[str, Any]:
    """What `config.json` of a run holds.

    Raises:
      UserError: the folder is not a run.
    """
    path = folder / 'config.json'
    with reading(path):
        is_file = path.is_file()
    if not is_file:
        what = 'is not a run: it has no config.json' if folder.exists() else 'does not exist'
        raise UserError(f'{folder} {what}; train one with --config=configs/NAME.py')
    try:
        record = json.loads(path.read_text())
        for group in ('data', 'model', 'hypers', 'train', 'eval'):
            record['values'][group].items()
        record['values']['train']['steps'] + record['values']['seed']
        record = {'init_from': None, 'devices': None, 'data': None, **record}
        return {name: record[name] for name in RECORD}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f'{path} is damaged ({type(error).__name__}: {error})') from error


def check_same(
    folder: pathlib.Path, which: Recipe, config: ConfigDict, init_from: str | None = None
) -> None:
    """Checks that `folder` is the run of this config and beginning, or may become it.

    Raises:
      UserError: the folder holds something else, or the run of another config (the fields are
        named); `train.steps` may grow, `eval` may change.
    """
    with reading(folder):
        exists = (folder / 'config.json').exists()
    if exists:
        record = load(folder)
        if record['path'] != which.path:
            raise UserError(
                f'{folder} is the run of {record["path"] or "a family made in Python"}, not of '
                f'{which}: choose another --workdir'
            )
        if record['init_from'] != init_from:
            began = record['init_from'] or 'random weights'
            raise UserError(
                f'{folder} began with {began}, not with {init_from or "random weights"}'
            )
        _check_values(folder, record['values'], config.to_dict())
        warn_if_code_changed(folder, record)
    elif folder.exists() and (not folder.is_dir() or _has_foreign_files(folder)):
        raise UserError(f'--workdir={folder} exists and is not a run: choose another folder')


def _has_foreign_files(folder: pathlib.Path) -> bool:
    """A process killed before config.json was written leaves only its lock."""
    return any(path.name != '.lock' for path in folder.iterdir())


def write_config(run: Run, num_devices: int) -> None:
    """Writes config.json; a run keeps the source and the code of its beginning.

    Raises:
      UserError: the folder cannot be written, the data are not those that it began with, or the
        config holds what is no number, text or list of them.
    """
    data = run.data.fingerprint()
    _check_plain(run.config.to_dict())
    if (run.folder / 'config.json').exists():
        record = load(run.folder)
        if record['data'] not in (None, data):
            raise UserError(
                f'the data of {run.folder} have changed since it began (examples and checksum '
                f'{record["data"]}, now {data}): train another run on them'
            )
        before = record['devices']
        if before not in (None, num_devices):
            log.info('on %d devices, before on %d: the same to rounding', num_devices, before)
    else:
        record = {'source': run.recipe.source(), 'git': git_hash()}
    values = run.config.to_dict()
    for name in ('path', 'data_dir'):  # found from anywhere later
        if values['data'][name]:
            values['data'][name] = str(user_path(values['data'][name]).resolve())
    record.update(run.recipe._asdict(), values=values, data=data)
    record.update(init_from=run.init_from, devices=num_devices)
    with writing(run.folder):
        write_json(run.folder / 'config.json', record)


def _check_plain(values: dict[str, Any]) -> None:
    for name, value in flatten(values).items():
        try:
            json.dumps(value)
        except TypeError as error:
            raise UserError(
                f'config.{name}={value!r} cannot be kept in config.json: give it a name there, and '
                'choose by that name in build'
            ) from error


def reopen(
    folder: pathlib.Path,
    overrides: dict[str, Any] | None = None,
    build: Build | None = None,
    which: Recipe | None = None,
    to_train: bool = False,
) -> Run:
    """The run in `folder`, its data loaded and its family built.

    Args:
      folder: of a run.
      overrides: values of config.eval that shall differ from the run's, by dotted name.
      build: of a family that was made in Python; otherwise that of the config file.
      which: config it is expected to be of, if one is.
      to_train: whether train.steps may grow; `write_config` will refuse data that changed.

    Raises:
      UserError: the folder is not a run, or that of another config, or its data or its config file
        are not there.
    """
    record, overrides = load(folder), overrides or {}
    made_by = Recipe(record['path'], record['argument'])
    if which not in (None, made_by):
        raise UserError(f'{folder} was made by --config={made_by}, not by {which}')
    config = made_by.config() if made_by.path else ConfigDict(record['values']).lock()
    try:
        config.update_from_flattened_dict(overrides)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f'cannot override {", ".join(overrides)}: {error}') from error
    may_change = ('eval.', *MAY_MOVE, *(('train.steps',) if to_train else ()))
    _with_values(config, record['values'], overrides, may_change)
    warn_if_code_changed(folder, record)
    run = assemble(folder, made_by, config, build, record['init_from'])
    if not to_train:
        warn_if_data_changed(run, record)
    return run


@contextlib.contextmanager
def only_trainer(folder: pathlib.Path) -> Iterator[None]:
    """Makes the folder and holds its lock: two processes that train one run would destroy it.

    The operating system frees it however the process ends.

    Raises:
      UserError: another process holds it, or the folder cannot be written.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / '.lock').open('w')
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f'another process is training {folder}: wait for it') from error
        yield


def _with_values(
    config: ConfigDict, values: dict[str, Any], overrides: dict[str, Any], may_change: tuple
) -> None:
    """Gives `config` the stored `values` of its run, but the user's `overrides` of `may_change`.

    Args:
      config: of the file, with the overrides already in it; changed in place.
      values: as `load` returns them.
      overrides: by dotted name; only the names are used.
      may_change: names, or prefixes that end in a dot, of what may be overridden.

    Raises:
      UserError: an override of what belongs to the run for good, or fewer train.steps.
    """
    for name in overrides:
        if not name.startswith(may_change):
            raise UserError(
                f'--config.{name} belongs to the run; only {" and ".join(may_change)}* may be '
                'given with --workdir alone: train another run to change it'
            )
    stored = flatten(values)
    for name in flatten(config.to_dict()):
        if name not in overrides and name in stored:
            try:
                _set(config, name, stored[name])
            except (TypeError, ValueError) as error:
                raise UserError(f'config.json is damaged: {name} is {stored[name]!r}') from error
    steps = values['train']['steps']
    if config.train.steps < steps:
        raise UserError(
            f'--config.train.steps={config.train.steps} is less than the {steps} so far'
        )


def _set(config: ConfigDict, name: str, value: Any) -> None:
    *path, last = name.split('.')
    for part in path:
        config = config[part]
    config[last] = tuple(value) if isinstance(value, list) else value


def flatten(values: dict[str, Any], prefix: str = '') -> dict[str, Any]:
    """{'train': {'steps': 3}} -> {'train.steps': 3}; tuples as lists, as JSON has them."""
    flat = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f'{prefix}{name}.'))
        else:
            flat[prefix + name] = list(value) if isinstance(value, tuple) else value
    return flat


def write_json(path: pathlib.Path, value: Any) -> None:
    """Writes so that a reader, or a crash, sees the old file or the new one and nothing between."""
    temporary = path.with_name(f'.{path.name}.{os.getpid()}')
    temporary.write_text(json.dumps(value, indent=2) + '\n')
    os.replace(temporary, path)


def _check_values(folder: pathlib.Path, then: dict, now: dict) -> None:
    then, now = flatten(then), flatten(now)
    differ = [
        f'{name} (the run: {then.get(name)!r}, now: {now.get(name)!r})'
        for name in sorted({*then, *now})
        if name.split('.')[0] in SAME_IN_A_RUN and then.get(name) != now.get(name)
        if name not in MAY_MOVE
        if not (name == 'train.steps' and now.get(name, 0) > then.get(name, 0))
    ]
    if differ:
        raise UserError(
            f'{folder} is the run of another config: {"; ".join(differ)}: choose another --workdir'
        )
