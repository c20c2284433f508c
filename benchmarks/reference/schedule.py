"""Which seeds of which rows are measured, and in which order."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.reference import commands, progress
from benchmarks.reference.results import Result
from benchmarks.reference.rows import Row


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

    def needed(self, task: Task) -> list[Task]:
        """Returns the tasks whose runs a task uses."""
        row = self.rows[task.name]
        return [Task(name, commands.seed_of(row, self.rows[name], task.seed)) for name in row.uses]

    def has_data(self, row: Row) -> bool:
        """Whether the data folder has what a row and the rows that it uses read."""
        rows = row, *(self.rows[name] for name in row.uses)
        return not any(missing_data(each, self.data) for each in rows)

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
        order = [row for row in rows.values() if kind in row.minutes and setting.has_data(row)]
        is_measured = lambda row: _is_measured(results.get(row.name, {}).get(kind))
        # what is timed alone comes first among equals, so that it seldom waits for others to end
        order.sort(key=lambda row: (is_measured(row), -row.priority, not row.alone))
    tasks = []
    for row in order:
        own = [Task(row.name, seed) for seed in row.seeds]
        tasks += [task for each in own for task in (*setting.needed(each), each)]
    return [task for task in dict.fromkeys(tasks) if not setting.is_finished(task)]


def planned(
    setting: Setting, tasks: Sequence[Task], minutes: float
) -> list[tuple[Task, float | None]]:
    """Returns each task with the minute at which it starts, if one follows another in their time.

    None: it does not start, because less is left than it needs and it cannot be continued later.
    """
    plan, now = [], 0.0
    for task in tasks:
        row = setting.rows[task.name]
        if now < minutes and setting.may_start(row, 60 * (minutes - now)):
            plan.append((task, now))
            now += row.minutes.get(setting.machine['kind'], 0.0)
        else:
            plan.append((task, None))
    return plan


def _is_measured(result: Result | None) -> bool:
    return result is not None and result.is_finished and not result.is_stale
