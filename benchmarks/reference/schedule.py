"""Which rows are measured, in which order, and the loop that measures them."""

import fcntl
import os
import pathlib
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from atelier.errors import UserError
from atelier.log import log
from benchmarks.reference import commands, progress
from benchmarks.reference.job import Job
from benchmarks.reference.results import Result
from benchmarks.reference.rows import Row

LATER = ('the time was over', 'it was stopped', 'it needs more time than was left')
PAUSE = 0.2  # seconds between two looks at the children
PATIENCE = 60.0  # seconds to wait for the children of an earlier, killed start


class Task(NamedTuple):
    """One seed of a row."""

    name: str
    seed: int

    def __str__(self):
        """Returns what messages call it."""
        return f'{self.name}, seed {self.seed}'


class Setting(NamedTuple):
    """What all tasks share."""

    rows: dict[str, Row]
    runs: pathlib.Path  # folder
    data: pathlib.Path  # folder
    machine: dict[str, Any]  # see benchmarks/machine.py
    jobs: int = 1  # number of tasks side by side

    def is_finished(self, task: Task) -> bool:
        """Whether the values of a task are known."""
        return progress.load(self.rows[task.name], task.seed, self.runs).is_finished

    def needed(self, row: Row) -> list[Task]:
        """Returns the tasks whose runs a row uses."""
        return [Task(name, self.rows[name].seeds[0]) for name in row.needs]

    def may_start(self, row: Row, seconds_left: float) -> bool:
        """Whether a seed ends within the time that is left, or can be continued later."""
        minutes = row.minutes.get(self.machine['kind'], 0.0)
        return row.continues or 60 * minutes <= seconds_left


def missing_data(row: Row, data: pathlib.Path) -> list[str]:
    """Returns what a row needs and the data folder does not have."""
    return [name for name in row.data if not (data / name).exists()]


def chosen(
    setting: Setting, names: Sequence[str], results: Mapping[str, Mapping[str, Result]]
) -> list[Task]:
    """Returns the tasks in their order, finished ones left out, each after those that it needs.

    Without names: all rows that are meant for this kind of machine and whose data are there, rows
    without a result of this kind first, and within these the most valuable first.
    """
    kind, rows = setting.machine['kind'], setting.rows
    if names:
        order = [rows[name] for name in names]
    else:
        order = [
            row
            for row in rows.values()
            if kind in row.minutes and not missing_data(row, setting.data)
        ]
        order.sort(
            key=lambda row: (_is_measured(results.get(row.name, {}).get(kind)), -row.priority)
        )
    tasks = []
    for row in order:
        tasks += [*setting.needed(row), *(Task(row.name, seed) for seed in row.seeds)]
    return [task for task in dict.fromkeys(tasks) if not setting.is_finished(task)]


def _is_measured(result: Result | None) -> bool:
    return result is not None and result.is_finished and not result.is_stale


def measure(
    setting: Setting, tasks: Sequence[Task], end: float, on_end: Callable[[Task], None]
) -> dict[Task, str]:
    """Works on tasks until all have ended or the time `end` (monotonic) is reached.

    `on_end` is called after each seed that is finished. SIGTERM and SIGINT end the work as the time
    does. Returns {task: what kept it from being finished}.
    """
    waiting, jobs, problems = list(tasks), {}, {}
    stops: list[int] = []
    before = {
        s: signal.signal(s, lambda s, _: stops.append(s)) for s in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        with Lock(setting.runs) as lock:
            while waiting or jobs:
                left = end - time.monotonic() if not stops else 0.0
                if left <= 0:
                    for job in jobs.values():
                        job.stop()
                    problems |= dict.fromkeys(waiting, LATER[0])
                    waiting = []
                for task in _ready(waiting, jobs, problems, setting, left):
                    log.info('%s: started', task)
                    waiting.remove(task)
                    jobs[task] = _start(task, setting, lock.descriptor)
                time.sleep(PAUSE)
                for task, job in list(jobs.items()):
                    job.poll()
                    if not job.is_running:
                        del jobs[task]
                        stopped = '' if setting.is_finished(task) else LATER[1]
                        problem = job.failure or stopped
                        log.info('%s: %s', task, problem or 'finished')
                        problems |= {task: problem} if problem else {}
                        if not problem:
                            on_end(task)
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
    return problems


def _ready(
    waiting: list[Task],
    jobs: Mapping[Task, Job],
    problems: dict[Task, str],
    setting: Setting,
    left: float,
) -> list[Task]:
    """Returns the tasks to start now; moves those that cannot be started to `problems`."""
    ready: list[Task] = []
    for task in list(waiting):
        row, others = setting.rows[task.name], [*jobs, *ready]
        is_alone = row.alone or any(setting.rows[each.name].alone for each in others)
        if len(others) >= (1 if is_alone else setting.jobs):
            break
        needed, missing = setting.needed(row), missing_data(row, setting.data)
        problem = f'{setting.data} has no {", ".join(missing)}' if missing else ''
        if not problem and not setting.may_start(row, left):
            problem = LATER[2]
        if not problem and any(each in problems for each in needed):
            problem = f'it needs {", ".join(row.needs)}'
        if problem:
            waiting.remove(task)
            problems[task] = problem
            log.info('%s: %s', task, problem)
        elif all(map(setting.is_finished, needed)):
            ready.append(task)
    return ready


def _start(task: Task, setting: Setting, lock: int) -> Job:
    row = setting.rows[task.name]
    lines = commands.real(row, task.seed, setting.runs, setting.data, setting.rows)
    environment = {}
    if setting.jobs > 1:  # several processes share one card
        environment = {
            'XLA_PYTHON_CLIENT_PREALLOCATE': 'false',
            'XLA_PYTHON_CLIENT_MEM_FRACTION': f'{0.9 / setting.jobs:.2f}',
        }
    return Job(row, task.seed, lines, setting.runs, setting.machine, environment, lock)


class Lock:
    """Locks the folder of runs for this process and its children."""

    def __init__(self, runs: pathlib.Path):
        """Takes the path of the folder."""
        runs.mkdir(parents=True, exist_ok=True)
        self._path = runs / 'lock'
        self.descriptor = -1

    def __enter__(self) -> 'Lock':
        """Waits for the children of an earlier start.

        Raises:
          UserError: another process uses the folder.
        """
        self.descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        end = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return self
            except BlockingIOError:
                if time.monotonic() > end:
                    os.close(self.descriptor)
                    raise UserError(
                        f'another process measures in {self._path.parent}: wait for its end, or '
                        'choose another --folder'
                    ) from None
            time.sleep(PAUSE)

    def __exit__(self, *_):
        """Releases the folder once the last child has ended."""
        os.close(self.descriptor)
