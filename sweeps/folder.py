"""The folder of a sweep: sweep.json, and what is known of its programs and members.

sweep.json    config file, argument, values and axes: the same for every shard
programs/     which form of each program was chosen, a file a program
MEMBER/       an ordinary run; failed.json in it where its loss became no number

Nothing in it is written by two shards, but for what they write alike: folders merge by copying.
"""

import hashlib
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

import run_folder
from errors import UserError, reading, writing
from experiment import Recipe, Run
from run_values import check_same_values, with_later_fields

NAME = 'sweep.json'
FAILED = 'failed.json'
_ASKED = {
    'axes': 'axes',
    'num_random': '--sweep_random',
    'init_from': '--init_from',
}  # as a user gives them


def load(folder: pathlib.Path) -> dict[str, Any]:
    """What sweep.json holds.

    Raises:
      UserError: the folder is not a sweep.
    """
    path = folder / NAME
    with reading(path):
        if not path.is_file():
            raise UserError(f'{folder} is not a sweep: it has no {NAME}')
        try:
            record = json.loads(path.read_text())
            record['values'] = with_later_fields(record['values'])
            return {name: record[name] for name in ('path', 'argument', 'values', *_ASKED)}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f'{path} is damaged ({type(error).__name__}: {error})') from error


def record_of(
    which: Recipe, config: ConfigDict, axes: Sequence[str], num_random: int, init_from: str | None
) -> dict[str, Any]:
    """What sweep.json of this sweep holds."""
    asked = dict(axes=list(axes), num_random=num_random, init_from=init_from)
    values = run_folder.with_whole_paths(config.to_dict())
    return {**which._asdict(), 'values': values, **asked}


def check_same(folder: pathlib.Path, record: dict[str, Any]) -> None:
    """Checks that `folder` is the sweep of this record, or may become it.

    Raises:
      UserError: it holds something else, or another sweep; train.steps may grow.
    """
    with reading(folder):
        exists, is_sweep = folder.exists(), (folder / NAME).exists()
        others = exists and not (folder.is_dir() and not any(folder.iterdir()))
    if not is_sweep:
        if others:
            raise UserError(f'--workdir={folder} exists and is not a sweep: choose another folder')
        return
    before = load(folder)
    if before['path'] != record['path']:
        raise UserError(
            f'{folder} is a sweep of {before["path"]}, not of {record["path"]}: choose another '
            '--workdir'
        )
    for name, words in _ASKED.items():
        if before[name] != record[name]:
            raise UserError(
                f'{folder} is another sweep ({words}: {_shown(before[name])}, now: '
                f'{_shown(record[name])}): choose another --workdir'
            )
    check_same_values(folder, before['values'], record['values'])


def _shown(value: Any) -> str:
    return ' '.join(value) if isinstance(value, list) else str(value)


def write(folder: pathlib.Path, record: dict[str, Any]) -> None:
    """Writes sweep.json.

    Raises:
      UserError: it cannot be written.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        run_folder.write_json(folder / NAME, record)


def program_file(folder: pathlib.Path, runs: Sequence[Run]) -> pathlib.Path:
    """Where the choice for the program of these members is kept."""
    names = ' '.join(run.folder.name for run in runs)
    return folder / 'programs' / f'{hashlib.sha256(names.encode()).hexdigest()[:12]}.json'


def chosen_form(path: pathlib.Path, device_kind: str) -> str | None:
    """The form that was chosen on such a device, if one was: then a run continues bitwise."""
    try:
        record = json.loads(path.read_text())
        return record['form'] if record['device'] == device_kind else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def failure_of(folder: pathlib.Path) -> str | None:
    """Why the member in `folder` ended early, if it did."""
    try:
        return str(json.loads((folder / FAILED).read_text())['message'])
    except (OSError, ValueError, KeyError, TypeError):
        return None
