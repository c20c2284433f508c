"""The folder of a run and the config in it: opening, checking and recording runs.

config.json       the run's id; the config file's path, argument, source and values; the git hash;
                  initial weights, choice of a refit, number of devices; the data and the code;
                  of a run of codes, the digest of its parent
data.json         what was understood of the data: splits, classes, ranges, copies
metrics.jsonl     one object per line
tensorboard/      the same metrics for TensorBoard
checkpoints/      Orbax, one folder per step
samples/          images and arrays
parent/           of a run of codes: the run whose codes they are (`atelier.run.parent_copy`)
evaluation.json   the last evaluation with the run's own settings, and its weights and data
"""

import contextlib
import fcntl
import os
import pathlib
import secrets
from collections.abc import Iterator
from typing import Any

from ml_collections import ConfigDict

from atelier import files, leftovers
from atelier.checkout import ConfigFile, has_moved, recorded
from atelier.data import fingerprints
from atelier.data.dataset import Dataset
from atelier.data.sources import CODES
from atelier.errors import UserError, opened_from_python, reading, shortened, writing
from atelier.log import counted, log
from atelier.run import (
    code_record,
    data_record,
    data_table,
    parent_copy,
    refit,
    run_data,
    stored_values,
    two_stage,
)
from atelier.run.config_values import (
    MAY_MOVE,
    adopt_data_rules,
    check_plain,
    check_same_values,
    read_record,
    with_absolute_paths,
    with_values,
)
from atelier.run.data_record import DataRecord
from atelier.run.experiment import Build, Encoded, Run, assemble
from atelier.run.provenance import data_difference, git_hash, warn_if_code_changed
from atelier.run.run_path import check_entries, check_run_path, why_not_a_run

LOCK = '.lock'  # its lock is held by the process that trains the run
PAGE = 'report.html'  # that --mode=report writes
# not of training
OF_A_START = ('config.json', data_table.NAME, parent_copy.FOLDER, 'tensorboard', LOCK, PAGE)
EMPTY_AT_START = ('metrics.jsonl', 'checkpoints')  # made empty before the first dispatch
BEGUN = ('id', 'init_from', 'refit', 'devices', 'data', 'parent')
OPTIONAL = (*BEGUN, *data_record.FIELDS, *code_record.FIELDS)  # earlier runs lack them
RECORD = ('path', 'argument', 'values', 'source', 'git', *OPTIONAL)


def load(folder: pathlib.Path) -> dict[str, Any]:
    """Returns the contents of a run's `config.json`, with the `Choice` of a refit.

    Raises:
      UserError: the folder is not a run, or as `check_entries`, or the file is damaged.
    """
    return _load(folder)[0]


def _load(folder: pathlib.Path) -> tuple[dict[str, Any], DataRecord | None]:
    """Returns the contents of `config.json` and what they say of the data; raises as `load`."""
    check_run_path(folder)
    path = folder / 'config.json'
    with reading(path):
        is_file = path.is_file()
    if not is_file:
        raise UserError(f'{folder} {why_not_a_run(folder)}')
    check_entries(folder)
    record = read_record(path, RECORD, dict.fromkeys(OPTIONAL))
    if not isinstance(record['data'], dict):
        record['data'] = None  # the run predates checksums of splits
    elif not all(isinstance(text, str) for text in record['data'].values()):
        raise stored_values.damaged(path, f'data is {shortened(record["data"])}')
    record['refit'] = refit.read(path, record['refit'])
    record['parent'] = parent_copy.read(path, record['parent'])
    recorded_data = data_record.read(path, record)
    code_record.check(path, record)
    return {name: record[name] for name in RECORD}, recorded_data


def check_same(
    folder: pathlib.Path,
    config_file: ConfigFile,
    config: ConfigDict,
    init_from: str | None = None,
    warn: bool = True,
    choice: refit.Choice | None = None,
) -> None:
    """Checks that `folder` is, or may become, the run of this config, `init_from` and `choice`.

    An existing run keeps the rules of its data: `config` gets them, in place. A run that has not
    finished its first dispatch, for example because memory was full, may be replaced by any other.
    With `warn`, it warns if the code has changed since the run began.

    Raises:
      UserError: the folder cannot hold a run, holds something else, or holds the run of another
        config (names the fields). `train.steps` may grow, and `eval` may change.
    """
    check_run_path(folder)
    with reading(folder):
        exists = (folder / 'config.json').exists()
    if exists:
        record = load(folder)
        if not has_begun(folder):
            return
        if record['path'] != config_file.path and not has_moved(record['path'], config_file):
            raise UserError(
                f'{folder} is the run of {record["path"] or "a family made in Python"}, not of '
                f'{config_file}: choose another --workdir'
            )
        if record['init_from'] != init_from:
            began = record['init_from'] or 'random weights'
            raise UserError(
                f'{folder} began with {began}, not with {init_from or "random weights"}'
            )
        refit.check_same_choice(folder, record['refit'], choice)
        adopt_data_rules(folder, record['values'], config, log_it=warn)
        check_same_values(folder, record['values'], config.to_dict())
        if warn:
            warn_if_code_changed(folder, record, config_file)
    elif folder.exists() and (not folder.is_dir() or _has_foreign_files(folder)):
        raise UserError(f'--workdir={folder} exists and is not a run: choose another folder')


def has_begun(folder: pathlib.Path) -> bool:
    """Whether a folder has more than a run writes before the end of its first dispatch."""
    with reading(folder):
        return any(
            not leftovers.is_temporary_file(path) and _has_content(path)
            for path in folder.iterdir()
            if path.name not in OF_A_START
        )


def _has_content(path: pathlib.Path) -> bool:
    if path.name not in EMPTY_AT_START:
        return True
    return any(path.iterdir()) if path.is_dir() else path.stat().st_size > 0


def _has_foreign_files(folder: pathlib.Path) -> bool:
    """Whether there are files other than those of a process killed before it wrote config.json."""
    return not all(
        path.name == LOCK or leftovers.is_temporary_file(path) for path in folder.iterdir()
    )


def write_config(run: Run, num_devices: int, data: dict[str, str] | None = None) -> None:
    """Writes config.json, and the copy of a parent.

    A run that has begun keeps its id and the record of its first code.
    `data` is the fingerprint of the run's data, if it is known already.

    Raises:
      UserError: the folder cannot be written, the data or the parent have changed since the run
        began, or the config holds values other than numbers, text and lists of them.
    """
    values, data = run.config.to_dict(), data or run.data.fingerprint()
    check_plain(values)
    exists = (run.folder / 'config.json').exists()
    is_begun = exists and has_begun(run.folder)
    if is_begun:
        record = load(run.folder)
        if data_difference(record['data'], data):
            data = fingerprints.like(run.data, record['data'])
        difference = data_difference(record['data'], data)
        if difference:
            raise UserError(
                f'the data of {run.folder} have changed since it began ({difference}): train '
                'another run on them'
            )
        before = record['devices']
        if before not in (None, num_devices):
            now = counted(num_devices, 'device')
            log.info('on %s, before on %d: results agree to rounding', now, before)
    else:
        if exists:
            log.info('%s has not begun to train: its config.json is written anew', run.folder)
        record = {'source': run.config_file.source(), 'git': git_hash()}
        record.update(code_record.recorded_fields(run.config_file))
    record.update(run.config_file._asdict(), values=with_absolute_paths(values), data=data)
    record.update(init_from=run.init_from, refit=refit.recorded(run.choice), devices=num_devices)
    if record.get('spec') is None:  # a run of an earlier version gets what it lacks
        record.update(data_record.recorded_fields(run.data))
    record['id'] = record.get('id') or secrets.token_hex(16)  # every checkpoint records it
    record['parent'] = parent_copy.recorded(run)
    files.write_json(run.folder / 'config.json', record)
    parent_copy.write(run, is_begun)


def reopen(
    folder: pathlib.Path,
    overrides: dict[str, Any] | None = None,
    build: Build | None = None,
    config_file: ConfigFile | None = None,
    to_train: bool = False,
    reads: str | None = 'the run is opened with them',
) -> Run:
    """Reopens the run in `folder`: builds its family and reads its data.

    A run of codes is returned as it is used (`two_stage.used`), unless training follows.

    Args:
      folder: the run's folder.
      overrides: {dotted name: new value}, for fields of config.eval and the fields named in
        MAY_MOVE.
      build: builds a family made in Python; None: the config file's `build` does.
      config_file: the config file that the run is expected to have, if any.
      to_train: whether training follows. If so, train.steps may grow, and the data are not checked
        here, because `write_config` checks them.
      reads: why the data are read, for the message if they are gone. None: they are not read until
        an example is needed (`run_data.with_data`), if the run is recent enough for that.

    Raises:
      UserError: the folder is not a run, or is that of another config, or its data or its config
        file is missing.
    """
    (record, recorded_data), overrides = _load(folder), overrides or {}
    recorded_file = recorded(record, folder)
    if recorded_file.path != record['path']:
        log.info('the config of %s is %s now, before %s', folder, recorded_file, record['path'])
    if config_file not in (None, recorded_file):
        raise UserError(f'{folder} was made by --config={recorded_file}, not by {config_file}')
    if not recorded_file.path and build is None:
        raise UserError(opened_from_python(folder))
    config = recorded_file.config() if recorded_file.path else ConfigDict(record['values']).lock()
    try:
        config.update_from_flattened_dict(overrides)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f'cannot override {", ".join(overrides)}: {error}') from error
    may_change = ('eval.', *MAY_MOVE, *(('train.steps',) if to_train else ()))
    with_values(config, record['values'], overrides, may_change, folder / 'config.json')
    warn_if_code_changed(folder, record, recorded_file)

    def read(config: ConfigDict, encoded: Encoded | None = None) -> Dataset:
        if to_train:  # trains only on the recorded data: see `write_config`
            return run_data.for_training(folder, config, encoded)
        return run_data.of_record(folder, config, record, recorded_data, encoded)

    if config.data.name == CODES and not to_train and not has_begun(folder):
        raise UserError(f'{folder} has no checkpoint yet: train it first')
    begins = record['init_from']
    run = assemble(folder, recorded_file, config, build, begins, read, record['refit'])
    if to_train:
        return run
    run = two_stage.used(run)
    return run if reads is None else run_data.with_data(run, reads)


@contextlib.contextmanager
def only_trainer(folder: pathlib.Path) -> Iterator[None]:
    """Creates the folder and holds its lock, because two processes training one run destroy it.

    The operating system releases the lock however the process ends. Temporary files of processes
    that were killed are removed.

    Raises:
      UserError: another process holds the lock, the folder cannot be written, or as
        `check_entries`.
    """
    check_run_path(folder)
    check_entries(folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f'another process is training {folder}: wait for it') from error
        except OSError as error:
            raise UserError(
                f'{folder} cannot be locked ({error.strerror}): choose a --workdir on a file '
                'system with file locks'
            ) from error
        leftovers.remove_files(folder)
        yield
    finally:
        os.close(lock)
