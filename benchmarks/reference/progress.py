"""What is known of one seed of a row: which commands ended, how long they took, the values.

It stands in a file beside the run, so that the next start goes on where this one was stopped.
"""

import math
import pathlib
import time
from typing import Any, NamedTuple

from atelier import files
from atelier.errors import UserError
from benchmarks.reference import commands, stored, value_paths
from benchmarks.reference.rows import Row

NOT_REACHED = 'the benchmark did not get to it'


class Progress(NamedTuple):
    """The state of one seed."""

    ended: int = 0  # number of commands that ended well
    seconds: float = 0.0  # of all starts that were not killed
    starts: int = 0  # more than one: it was stopped and continued
    loads: tuple[float, ...] = ()  # load averages of the machine, one a start
    values: dict[str, float] = {}  # empty until the seed is finished
    errors: dict[str, float | None] = {}  # standard errors over examples
    refused: dict[str, str] = {}  # {value that a benchmark does not give, and is NaN: the reason}
    machine: dict[str, Any] = {}
    measured: str = ''  # time (`now`) of the values; '': an earlier version measured them

    @property
    def is_finished(self) -> bool:
        """Whether all values of the row are known."""
        return bool(self.values)


def now() -> str:
    """Returns the time in UTC, such as '2026-11-28T21:40:05Z'; earlier times sort first."""
    return time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())


def path_of(row: Row, seed: int, runs: pathlib.Path) -> pathlib.Path:
    """Returns the path of the file, beside the folder of the run."""
    return commands.folder_of(row, seed, runs).with_suffix('.json')


def load(row: Row, seed: int, runs: pathlib.Path) -> Progress:
    """Returns the progress of a seed; that of a new one if there is no file.

    Raises:
      UserError: the file is damaged.
    """
    path = path_of(row, seed, runs)
    if not path.exists():
        return Progress()
    try:
        return _checked(files.read_json(path), row)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UserError) as error:
        raise UserError(f'{path} is damaged: remove it, and the row is measured again') from error


def _checked(content: dict[str, Any], row: Row) -> Progress:
    """Returns what a file holds; raises if that is nothing that `save` writes."""
    values, errors, refused = (content[name] for name in ('values', 'errors', 'refused'))
    if values and not {*row.values} == {*values} == {*errors}:
        raise ValueError('it holds other values than the row')
    if not {name for name, value in values.items() if value is None} <= {*refused}:
        raise ValueError('it lacks a value')
    return Progress(
        ended=stored.count(content['ended']),
        seconds=stored.number(content['seconds']),
        starts=stored.count(content['starts']),
        loads=tuple(map(stored.number, content['loads'])),
        values={n: math.nan if v is None else stored.number(v) for n, v in values.items()},
        errors={name: stored.number_or_none(error) for name, error in errors.items()},
        refused={name: stored.text(reason) for name, reason in refused.items()},
        machine=stored.machine(content['machine']),
        measured=stored.timestamp(content.get('measured', '')),
    )


def save(progress: Progress, row: Row, seed: int, runs: pathlib.Path) -> None:
    """Writes the file; raises UserError if it cannot be written."""
    files.write_json(path_of(row, seed, runs), progress._asdict())


def with_values(progress: Progress, row: Row, seed: int, runs: pathlib.Path) -> Progress:
    """Returns the progress of a seed whose commands have all ended, with its values.

    A benchmark that ended early may have only some of them: the others are refused.

    Raises:
      UserError: a file is missing, a value of a run is missing, or all of a benchmark's are.
    """
    folder = commands.measured_folder(row, seed, runs)
    default = commands.OUT if row.benchmark else 'evaluation.json'
    values: dict[str, float] = {}
    errors: dict[str, float | None] = {}
    refused: dict[str, str] = {}
    for name, path in row.values.items():
        try:
            values[name], errors[name] = value_paths.read(path, folder, default)
        except value_paths.RefusedError as error:
            values[name], errors[name], refused[name] = math.nan, None, str(error)
        except value_paths.MissingError:
            others = [refused.get(other) for other in row.values if other != name]
            if not row.benchmark or {*others} <= {NOT_REACHED}:  # the last of none
                raise
            values[name], errors[name], refused[name] = math.nan, None, NOT_REACHED
    return progress._replace(values=values, errors=errors, refused=refused, measured=now())
