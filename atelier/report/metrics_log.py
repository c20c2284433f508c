"""The metrics of a run: metrics.jsonl, TensorBoard files, and tables for the terminal."""

import json
import math
import os
import pathlib
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np

from atelier import files
from atelier.errors import UserError, reading, shortened, writing
from atelier.log import counted, log
from atelier.report.board import Board

MAX_LINE = 1 << 20  # bytes
LARGE = 1 << 23  # bytes of a file that is read whole even if it may be thinned
VALIDATION = b'"valid/'  # in a line with a validation
GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
MAX_NAME = 200  # characters of a metric's name, with its group, such as train/
MAX_METRICS = 5_000  # different metrics of a run
MAX_WARNINGS = 5  # damaged lines that are named; the others are counted
MAX_DIGITS = 7  # significant digits of float32; more before the point are printed as 5.025e+22
MIN_EXPONENT = -6  # numbers with smaller ones are printed as 1.2e-07


class MetricsLog:
    """Appends to `metrics.jsonl` (one JSON object per line) and to TensorBoard's files.

    A run that resumes from `step` first removes what an earlier process wrote after that step. Its
    file thus equals that of an uninterrupted run, except for times (`time/...`). A step trains on
    `examples_per_step` examples.
    """

    def __init__(self, folder: pathlib.Path, step: int, examples_per_step: int):
        self._path, self._examples_per_step = folder / 'metrics.jsonl', examples_per_step
        with writing(self._path):
            earlier = _cut_after(self._path, step)
            self._start = time.monotonic() - earlier
            self._lines = self._path.open('a')
            self._board = Board(folder / 'tensorboard', step + 1)

    def write(self, step: int, values: dict[str, int | float], to_board: bool = True) -> None:
        """Writes one line and, with `to_board`, one TensorBoard point per finite value.

        The line also holds the `progress`. Numbers that are not finite become null, and are no
        points.

        Raises:
          UserError: the file cannot be written, or the name of a metric is too long to be read.
        """
        for name in values:
            if len(name) > MAX_NAME:
                raise UserError(
                    f'the name of the metric {shortened(name)} has '
                    f'{counted(len(name), "character")}: give it at most {MAX_NAME}'
                )
        row = files.with_null({'step': step, **self.progress(step), **values})
        with writing(self._path):
            self._lines.write(json.dumps(row, allow_nan=False) + '\n')
            if to_board:
                for name, value in values.items():
                    if math.isfinite(value):
                        self._board.add_scalar(name, value, step)

    def write_picture(self, step: int, name: str, picture: np.ndarray) -> None:
        """Gives TensorBoard a picture, uint8 [height, width, 1 or 3]; a large one is reduced.

        A thread may write pictures while another writes numbers.

        Raises:
          UserError: the file cannot be written.
        """
        with writing(self._board.folder):
            self._board.add_picture(name, picture, step)

    def progress(self, step: int) -> dict[str, int | float]:
        """Returns the examples that training has read until `step`, and its seconds until now.

        An example counts each time it is read. The seconds include compilation and validation. A
        resumed run continues from the seconds of the line that it resumes from.
        """
        seconds = round(time.monotonic() - self._start, 3)
        return {'examples': step * self._examples_per_step, 'time/seconds': seconds}

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


def iterate_metrics(
    folder: pathlib.Path, is_thinned: bool = False
) -> Iterator[dict[str, int | float]]:
    """Yields the lines of `metrics.jsonl`, without an unfinished last line of a killed process.

    The file has no limit on its size: one line is held at a time. Any other unreadable line is
    skipped with a warning.

    Args:
      folder: of the run.
      is_thinned: whether lines of training are left out if the file has more than `LARGE` bytes, so
        that about as many are read. All validations and the last line are always yielded.

    Raises:
      UserError: the file cannot be read, or it has more than `MAX_METRICS` different metrics.
    """
    path, names, num_damaged = folder / 'metrics.jsonl', set(), 0
    if not path.exists():
        return
    with reading(path), files.open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        share = min(1.0, LARGE / max(1, size)) if is_thinned else 1.0
        for line_number, line in _kept(_whole_lines(file), share):
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


def _kept(lines: Iterable[bytes], share: float) -> Iterator[tuple[int, bytes]]:
    """Yields the number of a line and the line: all validations, the last, and a share of others.

    Multiples of the golden ratio choose them evenly also among every second or every tenth line,
    as kinds of lines may take turns.
    """
    last = None
    for number, line in enumerate(lines, 1):
        is_kept = share == 1.0 or VALIDATION in line or number * GOLDEN_RATIO % 1.0 < share
        last = None if is_kept else (number, line)
        if is_kept:
            yield number, line
    if last is not None:
        yield last


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
    for row in iterate_metrics(folder, is_thinned=True):
        means = {
            sys.intern(name.removeprefix('valid/')): math.nan if value is None else value
            for name, value in row.items()
            if name.startswith('valid/')
        }
        if means:
            yield row['step'], means


def plus_minus(mean: int | float | None, spread: float | None = None, sign: str = '') -> str:
    """Formats a number to two digits of its spread, or to four digits without a spread.

    It has at most the digits of float32, because a smaller spread is round-off. Whole numbers (int)
    keep all digits. `sign` '+' shows the sign of a positive number too. A dash stands for a number
    that is None or not finite.
    """
    if mean is None or not math.isfinite(mean):
        return '-'
    if spread is None or not math.isfinite(spread):
        return f'{mean:{sign}d}' if isinstance(mean, int) else _with_decimals(mean, mean, 4, sign)
    if spread == 0:
        return f'{_with_decimals(mean, mean, 4, sign)} +- 0'
    digits_left = _exponent(mean, MAX_DIGITS) - (MAX_DIGITS - 2)  # exponent of the last two digits
    scale = max(abs(spread), 10.0**digits_left if mean else 0.0)
    return f'{_with_decimals(mean, scale, 2, sign)} +- {_with_decimals(spread, spread, 2)}'


def rounded(mean: int | float | None, spread: float | None = None) -> str:
    """Formats a number as `plus_minus`, without its spread."""
    return plus_minus(mean, spread).partition(' ')[0]


def _with_decimals(value: float, scale: float, digits: int, sign: str = '') -> str:
    """Formats a value with the decimals that show `digits` significant digits of `scale`."""
    exponent = _exponent(scale, digits)
    if exponent >= MIN_EXPONENT and _exponent(value, MAX_DIGITS) < MAX_DIGITS:
        return f'{value:{sign}.{max(0, digits - 1 - exponent)}f}'
    more = max(0, _exponent(value, digits) - exponent) if value else 0
    return f'{value:{sign}.{digits - 1 + more}e}'


def _exponent(number: float, digits: int) -> int:
    """Returns the power of ten of a number that is rounded to `digits` significant digits."""
    return int(f'{number:.{digits - 1}e}'.partition('e')[2])


def aligned(table: list[list[str]]) -> list[str]:
    """Formats a table as lines, with the first column left-aligned and the others right-aligned."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    first, rest = widths[0], widths[1:]
    return [
        '  '.join([row[0].ljust(first), *(c.rjust(w) for c, w in zip(row[1:], rest, strict=True))])
        for row in table
    ]


def _cut_after(path: pathlib.Path, step: int) -> float:
    """Removes the lines of later steps, and those that cannot be read.

    Returns the seconds of training until the last line that is left.
    """
    seconds = 0.0
    if not path.exists():
        return seconds
    with files.whole(path) as file:
        for row in iterate_metrics(path.parent):
            if row['step'] <= step:
                line = json.dumps(files.with_null(row), allow_nan=False)
                file.write(line.encode() + b'\n')
                seconds = max(seconds, row.get('time/seconds') or 0.0)
    return seconds
