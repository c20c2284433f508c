"""The folder of a sweep: sweep.json, and records of its programs and members.

sweep.json    config file, argument, values and axes: the same for every shard
programs/     one file per program: the members that train together, and its form, 'vmap' or 'loop'
MEMBER/       an ordinary run, with failed.json if it became non-finite

All shards write the same sweep.json. Each shard writes the table of the members in its folder: one
that the shards share, or its own copy. After the copies are merged, `--mode=sweep --workdir=FOLDER`
writes the table of all.
"""

import hashlib
import pathlib
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from atelier import files, leftovers
from atelier.checkout import ConfigFile, has_moved
from atelier.errors import UserError, reading, shortened, writing
from atelier.log import log
from atelier.run import config_values, run_folder, stored_values
from atelier.run.experiment import Run
from atelier.run.run_path import check_run_path
from atelier.sweep import axes as axes_lib

NAME = 'sweep.json'
FAILED = 'failed.json'
OWN = (NAME, 'programs', 'sweep.csv', 'sweep.png', run_folder.PAGE, 'jobs')  # the sweep's own files
_REQUEST_FLAGS = {
    'axes': 'axes',
    'num_random': '--sweep_random',
    'init_from': '--init_from',
}  # field of sweep.json: its name for the user


def load(folder: pathlib.Path) -> dict[str, Any]:
    """Reads sweep.json.

    Raises:
      UserError: the folder is not a sweep, the file is damaged or was changed, or a file of the
        sweep is a symbolic link, a pipe, a socket or a device.
    """
    path = folder / NAME
    with reading(path):
        if not path.is_file():
            problem = f'is not a sweep: it has no {NAME}' if folder.exists() else 'does not exist'
            raise UserError(
                f'{folder} {problem}; give the folder of a sweep, or start one with '
                '--mode=sweep --config=configs/NAME.py'
            )
    _check_own_files(folder)
    names = ('path', 'argument', 'values', *_REQUEST_FLAGS)
    record = config_values.read_record(path, names, {})
    axes = record['axes']
    if not isinstance(axes, list) or not all(isinstance(axis, str) for axis in axes):
        raise stored_values.damaged(path, f'axes is {shortened(axes)}')
    return {name: record[name] for name in names}


def record_of(
    config_file: ConfigFile,
    config: ConfigDict,
    axes: Sequence[str],
    num_random: int,
    init_from: str | None,
) -> dict[str, Any]:
    """Returns the content of sweep.json for this sweep."""
    request = dict(axes=list(axes), num_random=num_random, init_from=init_from)
    values = config_values.with_absolute_paths(config.to_dict())
    return {**config_file._asdict(), 'values': values, **request}


def with_absolute_paths(
    folder: pathlib.Path, axes: Sequence[str], values: dict[str, Any]
) -> list[str]:
    """Returns axes with absolute paths; a sweep of an earlier version keeps its relative ones.

    `values` holds the config's values by dotted name.

    Raises:
      UserError: as in `load` and in `axes.with_absolute_paths`.
    """
    absolute = [axes_lib.with_absolute_paths(text, values) for text in axes]
    with reading(folder):
        is_sweep = (folder / NAME).is_file()
    before = load(folder)['axes'] if is_sweep else []
    if [axes_lib.with_absolute_paths(text, values) for text in before] == absolute:
        return before or absolute
    return absolute


def adopt_data_rules(folder: pathlib.Path, config: ConfigDict) -> None:
    """Sets the rules of `config.data` to those of the sweep in `folder`, if there is one.

    Raises:
      UserError: as in `load`.
    """
    with reading(folder):
        is_sweep = (folder / NAME).is_file()
    if is_sweep:
        config_values.adopt_data_rules(folder, load(folder)['values'], config)


def check_same(folder: pathlib.Path, record: dict[str, Any]) -> None:
    """Checks that `folder` holds the sweep of this record, or is free for it.

    Any sweep may replace one whose members have all not finished their first dispatch.

    Raises:
      UserError: the folder holds something else or another sweep, or it cannot hold a sweep. Config
        values may differ only as `check_same_values` allows: for example, train.steps may have
        grown.
    """
    check_run_path(folder)
    with reading(folder):
        exists, is_sweep = folder.exists(), (folder / NAME).exists()
        is_occupied = exists and not (folder.is_dir() and _is_free(folder))
    if not is_sweep:
        if is_occupied:
            raise UserError(f'--workdir={folder} exists and is not a sweep: choose another folder')
        return
    before = load(folder)
    if not _has_begun(folder):
        if before != record:
            log.info('%s has not begun to train: its %s is written anew', folder, NAME)
        return
    now = ConfigFile(record['path'], record['argument'])
    if before['path'] != record['path'] and not has_moved(before['path'], now):
        raise UserError(
            f'{folder} is a sweep of {before["path"]}, not of {record["path"]}: choose another '
            '--workdir'
        )
    for name, flag in _REQUEST_FLAGS.items():
        if before[name] != record[name]:
            raise UserError(
                f'{folder} is another sweep ({flag}: {_formatted(before[name])}, now: '
                f'{_formatted(record[name])}): choose another --workdir'
            )
    config_values.check_same_values(folder, before['values'], record['values'])


def _has_begun(folder: pathlib.Path) -> bool:
    """Whether a member of the sweep has finished its first dispatch."""
    members = [path.parent for path in folder.glob('*/config.json')]
    return any(run_folder.has_begun(member) for member in members)


def _is_free(folder: pathlib.Path) -> bool:
    """Whether the folder holds at most leftovers of a process killed before it wrote sweep.json."""
    return all(leftovers.is_temporary_file(path) for path in folder.iterdir())


def _check_own_files(folder: pathlib.Path) -> None:
    """Refuses links and pipes among the sweep's own files; a member's are checked with its run.

    The folder `jobs` may contain links, because Submitit creates some there.
    """
    for name in OWN:
        files.check_entry(folder / name)
    files.check_entries(folder / 'programs')


def _formatted(value: Any) -> str:
    return ' '.join(value) if isinstance(value, list) else str(value)


def write(folder: pathlib.Path, record: dict[str, Any]) -> None:
    """Writes sweep.json, and removes temporary files of processes that were killed.

    Raises:
      UserError: the file cannot be written.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    leftovers.remove_files(folder)
    files.write_json(folder / NAME, record)


def program_file(folder: pathlib.Path, runs: Sequence[Run]) -> pathlib.Path:
    """Returns the path of the record of the program that trains these members."""
    names = ' '.join(run.folder.name for run in runs)
    return folder / 'programs' / f'{hashlib.sha256(names.encode()).hexdigest()[:12]}.json'


def write_program(
    path: pathlib.Path,
    runs: Sequence[Run],
    device_kind: str,
    form: str | None = None,
    seconds: dict[str, float] | None = None,
) -> None:
    """Records which members train together and, once chosen, in which form.

    Raises:
      UserError: the file cannot be written.
    """
    names = [run.folder.name for run in runs]
    record = dict(form=form, device=device_kind, seconds=seconds or {}, members=names)
    files.write_json(path, record)


def programs_begun(folder: pathlib.Path, runs: Sequence[Run]) -> list[list[Run]]:
    """Groups `runs` by the program that began to train them; those not begun form the last group.

    Members that trained together continue together, because they are at the same step, while other
    members may be at any step. If two programs share members, the smaller one began later, and its
    group is returned.
    """
    remaining, programs = {run.folder.name: run for run in runs}, []
    records = [_read(path) for path in (folder / 'programs').glob('*.json')]
    for names in sorted(
        (record.get('members', []) for record in records), key=lambda n: (len(n), n)
    ):
        if names and remaining.keys() >= {*names}:
            programs.append([remaining.pop(name) for name in names])
    return [*programs, *([list(remaining.values())] if remaining else [])]


def chosen_form(path: pathlib.Path, device_kind: str) -> str | None:
    """Returns the form chosen earlier on this kind of device, or None.

    With the same form, a resumed run is bitwise the same as an uninterrupted one.
    """
    record = _read(path)
    return record.get('form') if record.get('device') == device_kind else None


def _read(path: pathlib.Path) -> dict[str, Any]:
    """Returns a record, empty if it is missing or damaged.

    Raises:
      UserError: it was changed after it was written, or it is a link or a pipe.
    """
    files.check_entry(path)
    try:
        return files.read_json(path)
    except (OSError, ValueError):
        return {}


def failure_of(folder: pathlib.Path) -> str | None:
    """Returns why the member in `folder` failed, or None."""
    message = _read(folder / FAILED).get('message')
    return None if message is None else str(message)
