"""Measures rows of published and promised numbers, and makes the page of results from them.

    python -m benchmarks.reference --list
    python -m benchmarks.reference --list --minutes=8 --kind=gpu --data=DATA
    python -m benchmarks.reference vae-digits iwae-digits --data=DATA
    python -m benchmarks.reference --minutes=8 --data=DATA --archive=results.tar.gz
    python -m benchmarks.reference --pages

A row that was measured before is not measured again. After a kill, the same command goes on where
it was stopped. docs/reference.md describes rows, data folder and results.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

from atelier import checkout
from atelier.errors import UserError, did_you_mean
from atelier.log import counted, log_to_terminal, one_line
from atelier.paths import user_path
from benchmarks.reference import archive, pages, results, rows, schedule, tables, work
from benchmarks.reference.schedule import Setting, Task

DESCRIBE = 'import json; from benchmarks import machine; print(json.dumps(machine.described()))'


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    known = argparse.ArgumentParser('python -m benchmarks.reference', allow_abbrev=False)
    add = known.add_argument
    add('names', nargs='*', metavar='ROW', help='rows to measure, in this order')
    add('--list', action='store_true', help='show the rows, or with --minutes what is measured')
    add('--kind', choices=rows.KINDS, help='kind of machine of --list --minutes; by default this')
    add('--pages', action='store_true', help='make docs/results.md from template and results')
    add('--minutes', type=float, help='time limit; without rows, as many as fit are measured')
    add('--data', default='data', help='data folder: tfds/, text/, binarized_mnist.npz')
    add('--folder', default='runs/reference', help='folder of the runs, which are continued')
    add('--results', default=results.FOLDER, help='folder of the results')
    add('--archive', help='FILE.tar.gz for everything small that was measured')
    add('--jobs', type=int, help='rows side by side; by default 1 on a CPU, 3 on a card')
    return known


def main() -> int:
    """Does what the command line says; returns the exit status."""
    log_to_terminal()
    try:
        return perform(parser().parse_args())
    except UserError as error:
        print(f'error: {one_line(str(error))}', file=sys.stderr)
        return 1


def perform(values: argparse.Namespace) -> int:
    """Lists rows, makes the page, or measures; returns 1 if a row failed, otherwise 0.

    Raises:
      UserError: an unknown row, a damaged file, nothing to do, a time or a number of jobs that is
        not positive.
    """
    known, folder = rows.load(), _absolute(values.results)
    for name in values.names:
        if name not in known:
            raise UserError(f'there is no row {name}{did_you_mean(name, known)}: see --list')
    named = {name: known[name] for name in values.names}
    if values.list and values.minutes is not None:
        print(plan(values, known, [*named], folder))
        return 0
    if values.list:
        chosen = named or known
        print(tables.listing(chosen, results.load_all(chosen, folder)))
        return 0
    if values.pages:
        pages.write(known, results.load_all(known, folder))
        return 0
    if not named and values.minutes is None:
        raise UserError('name rows, or give the time: --minutes=8; --list shows the rows')
    if values.minutes is not None and not 0 < values.minutes < float('inf'):
        raise UserError(f'--minutes={values.minutes:g} is no time: give minutes, such as 8')
    if values.jobs is not None and values.jobs < 1:
        raise UserError(f'--jobs={values.jobs}: at least one row is measured at a time')
    return measure(values, known, named, folder)


def plan(
    values: argparse.Namespace, known: dict[str, rows.Row], named: list[str], folder: pathlib.Path
) -> str:
    """Returns what `measure` would do in `--minutes`, in its order."""
    machine = {'kind': values.kind} if values.kind else this_machine()
    setting = Setting(known, _absolute(values.folder), _absolute(values.data), machine)
    tasks = schedule.chosen(setting, named, results.load_all(known, folder))
    planned = schedule.planned(setting, tasks, values.minutes)
    return tables.plan(known, planned, machine['kind'])


def measure(
    values: argparse.Namespace,
    known: dict[str, rows.Row],
    named: dict[str, rows.Row],
    folder: pathlib.Path,
) -> int:
    """Measures rows, writes results to `folder` and the archive; returns the exit status."""
    end = float('inf') if values.minutes is None else time.monotonic() + 60 * values.minutes
    machine = this_machine()
    jobs = values.jobs or (1 if machine['kind'] == 'cpu' else 3)
    setting = Setting(known, _absolute(values.folder), _absolute(values.data), machine, jobs)
    _make('--folder', setting.runs)
    _make('--results', folder)
    for row in known.values():  # what an earlier start measured
        results.write(row, setting.runs, folder)

    def keep(task: Task | None = None) -> None:
        """Writes what is known: after each task, because the machine may be taken away."""
        if task:
            results.write(known[task.name], setting.runs, folder)
        if values.archive:
            archive.write(_absolute(values.archive), setting.runs, folder)

    tasks = schedule.chosen(setting, [*named], results.load_all(known, folder))
    keep()  # an archive that cannot be written is noticed before anything is measured
    try:
        problems = work.measure(setting, tasks, end, keep)
    finally:
        keep()
    chosen = named or {task.name: known[task.name] for task in tasks}
    print(tables.listing(chosen, results.load_all(chosen, folder)))
    return _report(problems)


def _report(problems: dict[Task, str]) -> int:
    """Prints what was not finished; returns 1 if something failed, otherwise 0."""
    failures = {t: problem for t, problem in problems.items() if problem not in work.LATER}
    for task, problem in failures.items():
        print(one_line(f'{task}: {problem}'))
    if len(problems) > len(failures):
        count = counted(len(problems) - len(failures), 'run')
        print(f'{count} left: the same command goes on with them')
    return int(bool(failures))


def this_machine() -> dict:
    """Returns the description of this machine, from a process that then frees its card.

    Raises:
      UserError: JAX does not start.
    """
    command = [sys.executable, '-c', DESCRIBE]
    result = subprocess.run(command, cwd=checkout.ROOT, capture_output=True, text=True)
    if result.returncode:
        reason = (result.stderr.strip().splitlines() or ['no message'])[-1]
        raise UserError(f'JAX does not start: {reason}')
    return json.loads(result.stdout.splitlines()[-1])


def _make(flag: str, folder: pathlib.Path) -> None:
    """Makes a folder; raises UserError if that is impossible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f'{folder} cannot be made: {error.strerror}'
        raise UserError(f'{reason}; choose another {flag}') from error


def _absolute(path: str | pathlib.Path) -> pathlib.Path:
    return user_path(path).absolute()


if __name__ == '__main__':
    sys.exit(main())
