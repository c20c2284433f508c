"""Results of rows: one JSON file for each row and kind of machine, kept in git.

`stale` results were measured by another definition of the row. They are shown as such.
"""

import math
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from atelier import files
from atelier.errors import UserError
from atelier.log import log
from benchmarks.reference import commands, progress, stored
from benchmarks.reference.rows import KINDS, Row

FOLDER = pathlib.Path(__file__).parents[1] / 'results'


class Value(NamedTuple):
    """A measured value over the seeds of a row."""

    mean: float
    sd: float | None  # standard deviation over seeds; None for a single one
    error: float | None  # mean standard error over examples
    each: tuple[float, ...]
    refused: str = ''  # why a benchmark does not give it; then the mean is NaN


class Result(NamedTuple):
    """What a file holds, and how it stands to the present row."""

    kind: str
    values: dict[str, Value]
    seeds: tuple[int, ...]
    seconds: tuple[float, ...]  # one a seed
    load: float  # mean load average of the machine
    machines: tuple[dict[str, Any], ...]
    is_finished: bool  # all seeds of the row have values
    is_stale: bool
    measured: str = ''  # time of its oldest seed (`progress.now`); '': of an earlier version

    def verdict(self, row: Row) -> str:
        """Returns 'inside', 'OUTSIDE', 'partial' or 'stale'; the first two are of the targets.

        Those are meant that are asked of this kind of machine. If a row has several targets,
        'OUTSIDE' names the values that miss theirs.
        """
        if self.is_stale:
            return 'stale'
        outside = [
            name
            for name, target in row.all_targets.items()
            if self.kind in target.kinds and not target.holds(self.values[name].mean)
        ]
        named = f' ({", ".join(outside)})' if row.targets else ''
        text = f'OUTSIDE{named}' if outside else 'inside'
        return text if self.is_finished else f'partial, {text}'


def path_of(name: str, kind: str, folder: pathlib.Path) -> pathlib.Path:
    """Returns the path of a file of results."""
    return folder / f'{name}.{kind}.json'


def write(row: Row, runs: pathlib.Path, folder: pathlib.Path) -> list[pathlib.Path]:
    """Writes the results of a row's finished seeds, a file for each kind of machine.

    A finished result stays until all seeds are measured again. It also stays, and a warning says
    so, if it is newer than the runs, as in a checkout that was updated beside an old folder.

    Raises:
      UserError: a file is damaged, or cannot be written.
    """
    states = {seed: progress.load(row, seed, runs) for seed in row.seeds}
    done = {seed: state for seed, state in states.items() if state.is_finished}
    written = []
    for kind in KINDS:
        of_kind = {s: state for s, state in done.items() if state.machine['kind'] == kind}
        before = load(row, kind, folder) if of_kind else None
        is_whole = before is not None and before.is_finished and not before.is_stale
        if not of_kind or (is_whole and not _replaces(row, of_kind, before, runs)):
            continue
        written.append(path_of(row.name, kind, folder))
        files.write_json(written[-1], _content(row, of_kind))
    return written


def _replaces(
    row: Row, states: Mapping[int, progress.Progress], before: Result, runs: pathlib.Path
) -> bool:
    """Whether finished seeds replace a whole result: all are there, and none is older than it."""
    if len(states) < len(row.seeds):
        return False
    measured = _measured(states)
    if measured and measured >= before.measured:
        return True
    if not _is_same(row, states, before):
        machines = states[row.seeds[0]].machine, before.machines[0]
        ours, theirs = (machine['commit'][:10] for machine in machines)
        place = commands.folder_of(row, row.seeds[0], runs).parent
        log.warning(
            '%s: its result of %s (commit %s) stays, because the runs in %s are of %s (commit %s): '
            'remove that folder to measure the row again',
            *(row.name, before.measured or 'unknown time', theirs),
            *(place, measured or 'unknown time', ours),
        )
    return False


def _is_same(row: Row, states: Mapping[int, progress.Progress], before: Result) -> bool:
    """Whether the finished seeds have the values of a result; NaNs agree."""
    then, now = [], []
    for name in row.values:
        of_seed = dict(zip(before.seeds, before.values[name].each, strict=True))
        then.append([of_seed[seed] for seed in row.seeds])
        now.append([states[seed].values[name] for seed in row.seeds])
    return np.array_equal(then, now, equal_nan=True)


def _measured(states: Mapping[int, progress.Progress]) -> str:
    """Returns the time of the oldest seed; '' if one of them is unknown."""
    return min(state.measured for state in states.values())


def _content(row: Row, states: Mapping[int, progress.Progress]) -> dict[str, Any]:
    machines: list[dict[str, Any]] = []
    for state in states.values():
        if state.machine not in machines:
            machines.append(state.machine)
    return dict(
        row=row.name,
        definition=row.definition,
        finished=set(states) == set(row.seeds),
        values={name: _summary(name, states)._asdict() for name in row.values},
        seeds=list(states),
        seconds=[round(state.seconds, 1) for state in states.values()],
        starts=[state.starts for state in states.values()],
        load=round(float(np.mean([np.mean(s.loads) for s in states.values()])), 2),
        machines=machines,
        measured=_measured(states),
        commands=commands.shown(row),
    )


def _summary(name: str, states: Mapping[int, progress.Progress]) -> Value:
    each = np.array([state.values[name] for state in states.values()])
    errors = [state.errors[name] for state in states.values()]
    error = None if None in errors else float(np.mean(errors))
    sd = float(np.std(each, ddof=1)) if len(each) > 1 else None
    refused = next((s.refused[name] for s in states.values() if name in s.refused), '')
    return Value(float(np.mean(each)), sd, error, tuple(map(float, each)), refused)


def load(row: Row, kind: str, folder: pathlib.Path) -> Result | None:
    """Returns the result of a row on one kind of machine, or None if there is none.

    Raises:
      UserError: the file is damaged.
    """
    path = path_of(row.name, kind, folder)
    if not path.exists():
        return None
    try:
        return _result(row, kind, files.read_json(path))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UserError) as error:
        raise UserError(
            f'{path} is damaged ({type(error).__name__}: {error}): remove it, and measure the row '
            f'again: python -m benchmarks.reference {row.name}'
        ) from error


def load_all(rows: Mapping[str, Row], folder: pathlib.Path) -> dict[str, dict[str, Result]]:
    """Returns {row: {kind of machine: result}} of all rows; raises as `load`."""
    found = {name: {kind: load(row, kind, folder) for kind in KINDS} for name, row in rows.items()}
    return {
        name: {kind: result for kind, result in kinds.items() if result}
        for name, kinds in found.items()
    }


def _result(row: Row, kind: str, content: dict[str, Any]) -> Result:
    if content['row'] != row.name:
        raise ValueError(f'it holds the row {content["row"]}')
    seeds = stored.distinct(content['seeds'])
    values = {stored.text(n): _value(part, len(seeds)) for n, part in content['values'].items()}
    is_stale = content['definition'] != row.definition
    if not values or (not is_stale and set(values) != set(row.values)):
        raise ValueError('it holds other values than the row')
    machines = tuple(map(stored.machine, content['machines']))
    if {machine['kind'] for machine in machines} != {kind}:
        raise ValueError(f'it was not measured on a {kind}')
    return Result(
        kind=kind,
        values=values,
        seeds=seeds,
        seconds=_one_a_seed(content['seconds'], len(seeds)),
        load=stored.number(content['load']),
        machines=machines,
        is_finished=set(row.seeds) <= set(seeds),
        is_stale=is_stale,
        measured=stored.timestamp(content.get('measured', '')),
    )


def _value(part: dict[str, Any], num_seeds: int) -> Value:
    refused = stored.text(part['refused'])
    if refused:
        return Value(math.nan, None, None, (math.nan,) * num_seeds, refused)
    each, mean = _one_a_seed(part['each'], num_seeds), stored.number(part['mean'])
    if not math.isclose(mean, float(np.mean(each)), rel_tol=1e-9, abs_tol=1e-12):
        raise ValueError('a mean is not that of its seeds')
    spreads = stored.number_or_none(part['sd']), stored.number_or_none(part['error'])
    return Value(mean, *spreads, each)


def _one_a_seed(content: list[Any], num_seeds: int) -> tuple[float, ...]:
    numbers = tuple(map(stored.number, content))
    if len(numbers) != num_seeds:
        raise ValueError(f'it has {len(numbers)} numbers of {num_seeds} seeds')
    return numbers
