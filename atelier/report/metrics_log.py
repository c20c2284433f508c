"""The metrics of a run: metrics.jsonl, TensorBoard files, and tables for the terminal."""

import json
import math
import pathlib
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

from atelier import files
from atelier.errors import UserError, reading, shortened, writing
from atelier.log import counted, log

MAX_LINE = 1 << 20  # bytes
MAX_NAME = 200  # characters of a metric's name, with its group, such as train/
MAX_METRICS = 5_000  # different metrics of a run
MAX_WARNINGS = 5  # damaged lines that are named; the others are counted


class MetricsLog:
    """Appends to `metrics.jsonl` (one JSON object per line) and to TensorBoard's files.

    A run that resumes from `step` first removes what an earlier process wrote after that step. Its
    file thus equals that of an uninterrupted run, except for timings (`time/...`).
    """

    def __init__(self, folder: pathlib.Path, step: int):
        from tensorboardX import SummaryWriter  # imported here: only training needs it

        self._path = folder / 'metrics.jsonl'
        with writing(self._path):
            _cut_after(self._path, step)
            self._lines = self._path.open('a')
            # absolute, because tensorboardX reads a relative 'gs:a' as an address
            board = str((folder / 'tensorboard').absolute())
            self._board = SummaryWriter(board, purge_step=step + 1)

    def write(self, step: int, values: dict[str, float], to_board: bool = True) -> None:
        """Writes one line and, with `to_board`, one TensorBoard point per value.

        Raises:
          UserError: the file cannot be written, or the name of a metric is too long to be read.
        """
        for name in values:
            if len(name) > MAX_NAME:
                raise UserError(
                    f'the name of the metric {shortened(name)} has '
                    f'{counted(len(name), "character")}: give it at most {MAX_NAME}'
                )
        with writing(self._path):
            self._lines.write(json.dumps({'step': step, **values}) + '\n')
            if to_board:
                for name, value in values.items():
                    self._board.add_scalar(name, value, step)

    def flush(self) -> None:
        """Flushes the lines to the operating system: they then survive the end of the process."""
        with writing(self._path):
            self._lines.flush()

    def close(self) -> None:
        """Flushes and closes the files."""
        with writing(self._path):
            self._lines.close()
            self._board.close()


def read_metrics(folder: pathlib.Path) -> list[dict[str, int | float]]:
    """Returns all rows of `iterate_metrics`, which take about 20 times the memory of the file."""
    return list(iterate_metrics(folder))


def iterate_metrics(folder: pathlib.Path) -> Iterator[dict[str, int | float]]:
    """Yields the lines of `metrics.jsonl`, without an unfinished last line of a killed process.

    The file has no limit on its size: one line is held at a time. Any other unreadable line is
    skipped with a warning.

    Raises:
      UserError: the file cannot be read, or it has more than `MAX_METRICS` different metrics.
    """
    path, names, num_damaged = folder / 'metrics.jsonl', set(), 0
    if not path.exists():
        return
    with reading(path), files.open_regular(path) as file:
        for line_number, line in enumerate(_whole_lines(file), 1):
            row = _row(line)
            if row is None:
                num_damaged += 1
                if num_damaged <= MAX_WARNINGS:
                    log.warning('line %d of %s is damaged and left out', line_number, path)
                continue
            names |= row.keys()
            if len(names) > MAX_METRICS:
                raise UserError(f'{path} has more than {MAX_METRICS:,} different metrics')
            yield row
    if num_damaged > MAX_WARNINGS:
        more = counted(num_damaged - MAX_WARNINGS, 'more damaged line')
        log.warning('%s of %s left out', more, path)


def _whole_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yields the lines that end; an empty one in place of a line longer than `MAX_LINE`."""
    while line := file.readline(MAX_LINE):
        start = line
        while line and not line.endswith(b'\n'):
            line = file.readline(MAX_LINE)
        if line:
            yield start if start.endswith(b'\n') else b''


def _row(line: bytes) -> dict[str, int | float] | None:
    """Returns the object of a line with a step and numbers, or None if it is something else."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or type(row.get('step')) is not int or row['step'] < 0:
        return None
    if any(len(name) > MAX_NAME for name in row):
        return None
    return row if all(map(is_number, row.values())) else None


def is_number(value: Any) -> bool:
    """Whether a value can be shown and plotted: null stands for a number that is not finite."""
    if type(value) is int:
        return abs(value) < 2**63
    return value is None or type(value) is float


def iterate_validations(folder: pathlib.Path) -> Iterator[tuple[int, dict[str, float]]]:
    """Yields (step, {metric: mean}) of each validation, with NaN for null.

    Raises:
      UserError: as `iterate_metrics`.
    """
    for row in iterate_metrics(folder):
        means = {
            sys.intern(name.removeprefix('valid/')): math.nan if value is None else value
            for name, value in row.items()
            if name.startswith('valid/')
        }
        if means:
            yield row['step'], means


def plus_minus(mean: float | None, spread: float | None, sign: str = '') -> str:
    """Formats a mean with its spread, if any; `sign` '+' shows the sign of a positive mean too."""
    if mean is None:
        return '-'
    return f'{mean:{sign}.4f}' + ('' if spread is None else f' +- {spread:.4f}')


def aligned(table: list[list[str]]) -> list[str]:
    """Formats a table as lines, with the first column left-aligned and the others right-aligned."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    first, rest = widths[0], widths[1:]
    return [
        '  '.join([row[0].ljust(first), *(c.rjust(w) for c, w in zip(row[1:], rest, strict=True))])
        for row in table
    ]


def _cut_after(path: pathlib.Path, step: int) -> None:
    """Removes the lines of later steps, and those that cannot be read."""
    if not path.exists():
        return
    with files.whole(path) as file:
        for row in iterate_metrics(path.parent):
            if row['step'] <= step:
                file.write(json.dumps(row).encode() + b'\n')
