"""The folder of a sweep: sweep.json, and what is known of its programs and members.

sweep.json    config file, argument, values and axes: the same for every shard
programs/     who trains together, and in which form, a file a program
MEMBER/       an ordinary run; failed.json in it where its loss became no number

Shards write the same sweep.json, and each its own view of the table: after folders are merged by
copying, `--mode=sweep --workdir=FOLDER` makes it anew.
"""

import hashlib
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from atelier.checkout import ConfigFile
from atelier.errors import UserError, reading, writing
from atelier.run import run_folder
from atelier.run.config_values import check_same_values, with_later_fields
from atelier.run.experiment import Run

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
    which: ConfigFile,
    config: ConfigDict,
    axes: Sequence[str],
    num_random: int,
    init_from: str | None,
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
    """Where is kept what is known of the program of these members."""
    names = ' '.join(run.folder.name for run in runs)
    return folder / 'programs' / f'{hashlib.sha256(names.encode()).hexdigest()[:12]}.json'


def write_program(
    path: pathlib.Path,
    runs: Sequence[Run],
    device_kind: str,
    form: str | None = None,
    seconds: dict[str, float] | None = None,
) -> None:
    """Keeps who trains together, and once it is chosen in which form.

    Raises:
      UserError: it cannot be written.
    """
    names = [run.folder.name for run in runs]
    record = dict(form=form, device=device_kind, seconds=seconds or {}, members=names)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        run_folder.write_json(path, record)


def parts_begun(folder: pathlib.Path, runs: Sequence[Run]) -> list[list[Run]]:
    """`runs` by the programs that have begun to train them; those of none together, last.

    Who has trained together goes on together: members are at the same step there, and no other's
    step says anything of theirs. Of two programs that share members the smaller came later.
    """
    left, parts = {run.folder.name: run for run in runs}, []
    records = [_read(path) for path in (folder / 'programs').glob('*.json')]
    for names in sorted(
        (record.get('members', []) for record in records), key=lambda n: (len(n), n)
    ):
        if names and left.keys() >= {*names}:
            parts.append([left.pop(name) for name in names])
    return [*parts, *([list(left.values())] if left else [])]


def chosen_form(path: pathlib.Path, device_kind: str) -> str | None:
    """The form that was chosen on such a device, if one was: then a run continues bitwise."""
    record = _read(path)
    return record.get('form') if record.get('device') == device_kind else None


def _read(path: pathlib.Path) -> dict[str, Any]:
    """A record; of one that is missing or damaged nothing."""
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def failure_of(folder: pathlib.Path) -> str | None:
    """Why the member in `folder` ended early, if it did."""
    message = _read(folder / FAILED).get('message')
    return None if message is None else str(message)
