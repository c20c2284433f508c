"""Provenance: detects changes to the config file, code or data since a run started."""

import difflib
import pathlib
import shlex
import subprocess
from typing import Any

from atelier.checkout import ROOT, ConfigFile
from atelier.data import fingerprints
from atelier.data.dataset import Dataset
from atelier.errors import UserError
from atelier.log import Lines, counted, listed, log
from atelier.run import code_record

MAX_LINES = 12  # of the diff of a config
MAX_NAMED = 12  # packages before "and N more" in a message


def warn_if_code_changed(
    folder: pathlib.Path, record: dict[str, Any], config_file: ConfigFile
) -> None:
    """Warns if the config file or the code has changed since the run began.

    Args:
      folder: of the run.
      record: as `run_folder.load` returns it.
      config_file: of the run, where it is now.
    """
    now = config_file.source()
    if now != record['source']:
        _warn_of_source(folder, record['source'].splitlines(), now.splitlines(), config_file)
    if record['code'] is None:  # of an earlier version
        if git_hash() != record['git']:
            log.warning(
                'the code has changed since %s was trained: %s then, %s now',
                folder,
                record['git'],
                git_hash(),
            )
        return
    code = code_record.recorded_fields(config_file)
    packages = code_record.differences(record['code'], code['code'])
    if packages:
        log.warning(
            'the code has changed since %s began, in %s (commit %s then, %s now)',
            folder,
            listed(packages, MAX_NAMED + 1),
            record['git'],
            git_hash(),
        )
    neighbours = code_record.differences(record['neighbours'] or {}, code['neighbours'])
    if neighbours:
        log.warning(
            '%s beside %s changed since %s began',
            listed(neighbours, MAX_NAMED + 1),
            config_file.path,
            folder,
        )


def _warn_of_source(
    folder: pathlib.Path, then: list[str], now: list[str], config_file: ConfigFile
) -> None:
    """Shows the first lines of the difference of a config's source, and how to see all of them."""
    lines = [*difflib.unified_diff(then, now, 'then', 'now', lineterm='', n=1)]
    num_changed = sum(line[0] in '+-' for line in lines[2:])  # after the two names
    log.warning(
        '%s has changed since %s began, in %s:\n%s',
        *(config_file.path, folder, counted(num_changed, 'line'), Lines(lines[:MAX_LINES])),
    )
    if len(lines) > MAX_LINES:
        script = "import json, sys; print(json.load(open(sys.argv[1]))['source'], end='')"
        record = shlex.quote(str(folder / 'config.json'))
        log.warning(
            '%s not shown; all: python -c "%s" %s | diff - %s',
            counted(len(lines) - MAX_LINES, 'line'),
            *(script, record, shlex.quote(str(config_file.file))),
        )


def warn_if_data_changed(folder: pathlib.Path, data: Dataset, record: dict[str, Any]) -> None:
    """Warns if `data` are not those that the run in `folder` was trained on.

    Raises:
      UserError: they have another shape or kind, for which the weights are meaningless.
    """
    then = record['data']
    now = fingerprints.like(data, then)
    difference = data_difference(then, now)
    if then and then.get('x') != now.get('x'):
        raise UserError(f'the data of {folder} no longer fit its model: {difference}')
    if difference:
        log.warning('the data of %s have changed: %s', folder, difference)


def data_difference(then: dict[str, str] | None, now: dict[str, str]) -> str:
    """Describes how two fingerprints differ; '' if they agree or none was recorded."""
    then = then or {}
    return '; '.join(
        f'{name}: {then.get(name)} then, {now.get(name)} now'
        for name in sorted({*then, *now}, key=lambda name: name != 'x')
        if then and then.get(name) != now.get(name)
    )


def git_hash() -> str:
    """Returns the code's commit, with '+changes' if the work tree differs, or 'unknown'."""
    try:
        describe = ['git', '-C', str(ROOT), 'describe', '--always', '--abbrev=40', '--exclude=*']
        result = subprocess.run(
            [*describe, '--dirty=+changes'], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return 'unknown'
    return result.stdout.strip() or 'unknown'
