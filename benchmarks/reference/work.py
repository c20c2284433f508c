"""The loop that measures: it starts, watches and stops the commands of several seeds."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Sequence

from atelier.log import log
from benchmarks.reference import commands
from benchmarks.reference.job import Job
from benchmarks.reference.lock import Lock
from benchmarks.reference.schedule import Setting, Task, missing_data

PAUSE = 0.2  # seconds between two looks at the children
TIME_OVER, STOPPED = 'the time was over', 'it was stopped'
TOO_LONG = 'it needs more time than was left'
LATER = (TIME_OVER, STOPPED, TOO_LONG)  # problems that another start of the command solves


def measure(
    setting: Setting, tasks: Sequence[Task], end: float, on_end: Callable[[Task], None]
) -> dict[Task, str]:
    """Works on tasks until all have ended or the time `end` (monotonic) is reached.

    `on_end` is called after each seed that is finished. SIGTERM and SIGINT end the work as the time
    does. Returns {task: what kept it from being finished}.

    Raises:
      UserError: another process measures in the folder of runs.
    """
    with _stop_signals() as stops, Lock(setting.runs) as lock:
        # another process may have finished some, while this one waited for the folder
        work = Work(setting, [task for task in tasks if not setting.is_finished(task)])
        while work.waiting or work.jobs:
            # first, because Ctrl-C reaches the children too: their end is then no failure
            if stops or time.monotonic() >= end:
                work.stop()
            for task in work.finished():
                on_end(task)
            work.start(end - time.monotonic(), lock.descriptor)
            time.sleep(PAUSE)
    return work.problems


@contextlib.contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Yields a list of the SIGTERM and SIGINT signals that were received."""
    received: list[int] = []
    note = lambda signum, frame: received.append(signum)
    before = {signum: signal.signal(signum, note) for signum in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield received
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


class Work:
    """Tasks that wait, tasks at work, and the problems of those that were not finished."""

    def __init__(self, setting: Setting, tasks: Sequence[Task]):
        """All tasks wait."""
        self.setting, self.waiting = setting, list(tasks)
        self.jobs: dict[Task, Job] = {}
        self.problems: dict[Task, str] = {}

    def stop(self) -> None:
        """Asks all jobs to end, and starts no more."""
        for job in self.jobs.values():
            job.stop()
        self.problems |= dict.fromkeys(self.waiting, TIME_OVER)
        self.waiting = []

    def start(self, seconds_left: float, lock: int) -> None:
        """Starts the tasks whose turn it is."""
        for task in self.ready(seconds_left):
            log.info('%s: started', task)
            self.waiting.remove(task)
            self.jobs[task] = self._job(task, lock)

    def ready(self, seconds_left: float) -> list[Task]:
        """Returns the tasks to start now; those that cannot be started become problems."""
        rows, ready = self.setting.rows, []
        for task in list(self.waiting):
            others = [*self.jobs, *ready]
            is_alone = rows[task.name].alone or any(rows[each.name].alone for each in others)
            if len(others) >= (1 if is_alone else self.setting.jobs):
                break
            problem = self._problem(task, seconds_left)
            if problem:
                self.waiting.remove(task)
                self.problems[task] = problem
                log.info('%s: %s', task, problem)
            elif all(map(self.setting.is_finished, self.setting.needed(task))):
                ready.append(task)
        return ready

    def _problem(self, task: Task, seconds_left: float) -> str:
        row = self.setting.rows[task.name]
        missing = missing_data(row, self.setting.data)
        if missing:
            return f'{self.setting.data} has no {", ".join(missing)}'
        if not self.setting.may_start(row, seconds_left):
            return TOO_LONG
        if any(each in self.problems for each in self.setting.needed(task)):
            return f'it needs {", ".join(row.uses)}'
        return ''

    def _job(self, task: Task, lock: int) -> Job:
        setting, row = self.setting, self.setting.rows[task.name]
        lines = commands.real(row, task.seed, setting.runs, setting.data, setting.rows)
        environment = {}
        if setting.jobs > 1 and not row.alone:  # several processes share one card
            environment = {
                'XLA_PYTHON_CLIENT_PREALLOCATE': 'false',
                'XLA_PYTHON_CLIENT_MEM_FRACTION': f'{0.9 / setting.jobs:.2f}',
            }
        return Job(row, task.seed, lines, setting.runs, setting.machine, environment, lock)

    def finished(self) -> list[Task]:
        """Looks at all jobs; returns the tasks that were finished since the last look."""
        finished = []
        for task, job in list(self.jobs.items()):
            job.poll()
            if job.is_running:
                continue
            del self.jobs[task]
            is_finished = self.setting.is_finished(task)
            problem = job.failure or ('' if is_finished else STOPPED)
            log.info('%s: %s', task, problem or 'finished')
            if problem:
                self.problems[task] = problem
            else:
                finished.append(task)
        return finished
