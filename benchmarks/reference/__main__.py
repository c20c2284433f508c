"""Measures rows of published and promised numbers, and makes the page of results from them.

    python -m benchmarks.reference --list
    python -m benchmarks.reference vae-digits iwae-digits --data=DATA
    python -m benchmarks.reference --minutes=8 --data=DATA --archive=results.tar.gz
    python -m benchmarks.reference --pages

A row that was measured before is not measured again. After a kill, the same command goes on where
it was stopped. docs/reference.md describes rows, data folder and results.
"""

import json
import os
import pathlib
import subprocess
import sys
import time

from absl import app, flags

from atelier import checkout
from atelier.errors import UserError, did_you_mean
from atelier.log import counted, log, log_to_terminal, one_line
from benchmarks.reference import archive, pages, results, rows, schedule, tables, work
from benchmarks.reference.schedule import Setting, Task

flags.DEFINE_bool('list', False, 'show the rows; with names, those rows')
flags.DEFINE_bool('pages', False, 'make docs/results.md from its template and the results')
flags.DEFINE_float('minutes', None, 'time for all rows; without names, as many rows as fit')
flags.DEFINE_string('data', 'data', 'data folder: tfds/, text/, binarized_mnist.npz')
flags.DEFINE_string('folder', 'runs/reference', 'folder of the runs, which are continued')
flags.DEFINE_string('results', str(results.FOLDER), 'folder of the results')
flags.DEFINE_string('archive', '', 'file.tar.gz for everything small that was measured')
flags.DEFINE_integer('jobs', 0, 'rows side by side; 0: 1 on a CPU, 3 on a card')

DESCRIBE = 'import json; from benchmarks import machine; print(json.dumps(machine.described()))'


def main(arguments: list[str]) -> None:
    """Does what the flags say; exits with status 1 if a row could not be measured."""
    log_to_terminal()
    try:
        sys.exit(perform(arguments[1:]))
    except UserError as error:
        print(f'error: {one_line(str(error))}', file=sys.stderr)
        sys.exit(1)


def perform(names: list[str]) -> int:
    """Lists rows, makes pages, or measures; returns the exit status.

    Raises:
      UserError: an unknown row, a damaged file, no folder of data.
    """
    values, known = flags.FLAGS, rows.load()
    for name in names:
        if name not in known:
            raise UserError(f'there is no row {name}{did_you_mean(name, known)}: see --list')
    folder = pathlib.Path(values.results).absolute()
    if values.list:
        chosen = {name: known[name] for name in names} if names else known
        print(tables.listing(chosen, results.load_all(chosen, folder)))
        return 0
    if values.pages:
        pages.write(known, results.load_all(known, folder))
        return 0
    if not names and values.minutes is None:
        raise UserError('name rows, or give the time: --minutes=8; --list shows the rows')
    return measure(known, names, folder)


def measure(known: dict[str, rows.Row], names: list[str], folder: pathlib.Path) -> int:
    """Measures rows and writes results and the archive; returns the exit status."""
    values = flags.FLAGS
    end = time.monotonic() + 60 * values.minutes if values.minutes is not None else float('inf')
    machine = this_machine()
    jobs = values.jobs or (1 if machine['kind'] == 'cpu' else 3)
    absolute = lambda path: pathlib.Path(path).expanduser().absolute()
    setting = Setting(known, absolute(values.folder), absolute(values.data), machine, jobs)
    setting.runs.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    write = lambda task: results.write(known[task.name], setting.runs, folder)
    for name in names:  # what an earlier start measured
        results.write(known[name], setting.runs, folder)
    tasks = schedule.chosen(setting, names, results.load_all(known, folder))
    problems: dict[Task, str] = {}
    try:
        problems = work.measure(setting, tasks, end, write)
    finally:
        if values.archive:
            count = archive.write(absolute(values.archive), setting.runs, folder)
            log.info('archive: %s, %d files', values.archive, count)
    chosen = {name: known[name] for name in names or dict.fromkeys(task.name for task in tasks)}
    print(tables.listing(chosen, results.load_all(chosen, folder)))
    failures = {t: problem for t, problem in problems.items() if problem not in work.LATER}
    for task, problem in failures.items():
        print(f'{task}: {problem}')
    if len(problems) > len(failures):
        count = counted(len(problems) - len(failures), 'run')
        print(f'{count} left: the same command goes on with them')
    return int(bool(failures))


def this_machine() -> dict:
    """Returns the description of this machine, from a process that then frees its card."""
    result = subprocess.run(
        [sys.executable, '-c', DESCRIBE],
        cwd=checkout.ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
    )
    if result.returncode:
        reason = (result.stderr.strip().splitlines() or ['no message'])[-1]
        raise UserError(f'JAX does not start: {reason}')
    return json.loads(result.stdout.splitlines()[-1])


if __name__ == '__main__':
    app.run(main)
