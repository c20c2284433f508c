"""Opens runs and data of someone else in every mode, under an audit hook, and counts what ran.

    python -m benchmarks.untrusted --page=docs/reliability.md

`tests/untrusted_use.py` makes the untrusted folders and performs the commands. A command is good if
it works as on a clean folder or ends in one line. If code of an untrusted folder runs, or a command
is not good, the exit status is 1. With --page, the counts become rows of the table of that page.
When the time of --seconds is up, what was found until then is judged.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any, NamedTuple

from atelier.checkout import ROOT
from benchmarks import outcome, page_rows

COMMAND = '`python -m benchmarks.untrusted`'
EXECUTED = 'executed code, pickled classes, programs and libraries of an untrusted folder'
PLANTED = 'code, pickles and packages in every folder of a run'
MAY_WORK = ('init_from', 'compare', 'report')  # these work without the config of a run
KINDS = {  # part of the records: its name, and commands that may work; all others must be refused
    'pointed': ('a record whose config is a file of the run', MAY_WORK),
    'data': ('arrays, pictures, TFDS sets and coded files that hold code', ()),
    'unprepared': ('a record that names a TFDS set to download', MAY_WORK),
    'handlers': ('a checkpoint that names modules', ('sample',)),
}


class Tries(NamedTuple):
    """Number of commands of one kind, and a line for each that was not good."""

    count: int
    problems: list[str]


def records(folder: pathlib.Path, timeout: float | None = None) -> dict[str, Any]:
    """Performs all commands in a process of their own; returns what `untrusted_use.py` prints.

    If it takes longer than `timeout` seconds, only what it has printed by then.

    Raises:
      RuntimeError: the process failed.
    """
    program = [sys.executable, str(ROOT / 'tests' / 'untrusted_use.py'), str(folder)]
    try:
        result = subprocess.run(program, cwd=ROOT, capture_output=True, timeout=timeout)
    except subprocess.TimeoutExpired as error:
        lines = (error.stdout or b'').split(b'\n')[:-1]  # the last one may not be whole
        return json.loads(lines[-1]) if lines else {}
    if result.returncode:
        raise RuntimeError(result.stderr.decode(errors='replace'))
    return json.loads(result.stdout.splitlines()[-1])


def judged(found: Mapping[str, Any]) -> dict[str, Tries]:
    """Returns the tries by kind, from the records of `untrusted_use.py`, as far as it came."""
    tries = {}
    if 'planted' in found:
        clean, planted = found['clean'], found['planted']
        changed = [f'{name}: {line}' for name, line in planted.items() if line != clean[name]]
        tries[PLANTED] = Tries(len(planted), changed)
    for part, (kind, may_work) in KINDS.items():
        if part in found:
            tries[kind] = _refused(found[part], may_work)
    return tries


def _refused(outcomes: Mapping[str, str], may_work: tuple[str, ...] = ()) -> Tries:
    problems = [
        f'{name}: {line}'
        for name, line in outcomes.items()
        if not (is_one_line(line) or (line == 'ok' and name.split(' ')[0] in may_work))
    ]
    return Tries(len(outcomes), problems)


def is_one_line(message: str) -> bool:
    """Whether a command ended in a one-line message."""
    return message.startswith('error: ') and '\n' not in message


def executed(found: Mapping[str, Any]) -> list[str]:
    """Returns what the audit hook recorded: code objects, pickled classes, programs, libraries."""
    marked = [f'the mark {found["marked"]}'] if found['marked'] else []
    return [*found['code'], *found['unusual'], *marked]


def main(_) -> None:
    """Prints a line per kind; exits with status 1 if code ran or a command was not good."""
    result = outcome.Outcome.of_flags('untrusted')
    with tempfile.TemporaryDirectory(prefix='untrusted-') as folder:
        found = records(pathlib.Path(folder).resolve(), result.timeout()) if result.left() else {}
    tries, rows = judged(found), {}
    ran = executed(found) if 'code' in found else []
    if 'code' in found:
        rows[EXECUTED] = [str(len(ran)), COMMAND]
    for kind, (count, problems) in tries.items():
        rows[kind] = [f'{count - len(problems)} of {count}', COMMAND]
        result.add_arm(kind, [count], 'commands')
        result.add_arm(kind, [len(problems)], 'commands that were not good')
        print(f'{kind}: {rows[kind][0]}', *problems, sep='\n    ', flush=True)
    if 'code' in found:
        print(f'executed: {len(ran)}', *ran, sep='\n    ')
    else:
        print('time was up')
    result.write()
    page_rows.write_rows('untrusted', rows)
    sys.exit(bool(ran) or any(problems for _, problems in tries.values()))


if __name__ == '__main__':
    outcome.run(main)
