"""The metrics of a run: metrics.jsonl, TensorBoard files, and tables for the terminal."""

import json
import math
import pathlib
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

from atelier import files
from atelier.errors import writing
from atelier.log import log

MAX_LINE = 1 << 20  # bytes
MIN_EXPONENT = -6  # numbers with smaller ones are printed as 1.2e-07


class MetricsLog:
    """Appends to `metrics.jsonl` (one JSON object per line) and to TensorBoard's files.

    A run that resumes from `step` first removes what an earlier process wrote after that step. Its
    file thus equals that of an uninterrupted run, except for times (`time/...`). A step trains on
    `examples_per_step` examples.
    """

    def __init__(self, folder: pathlib.Path, step: int, examples_per_step: int):
        from tensorboardX import SummaryWriter  # imported here: only training needs it

        self._path, self._examples_per_step = folder / 'metrics.jsonl', examples_per_step
        with writing(self._path):
            earlier = _cut_after(self._path, step)
            self._start = time.monotonic() - earlier
            self._lines = self._path.open('a')
            # absolute, because tensorboardX reads a relative 'gs:a' as an address
            board = str((folder / 'tensorboard').absolute())
            self._board = SummaryWriter(board, purge_step=step + 1)

    def write(self, step: int, values: dict[str, int | float], to_board: bool = True) -> None:
        """Writes one line and, with `to_board`, one TensorBoard point per value.

        The line also holds the `progress`. Numbers that are not finite become null.
        """
        row = files.with_null({'step': step, **self.progress(step), **values})
        with writing(self._path):
            self._lines.write(json.dumps(row, allow_nan=False) + '\n')
            if to_board:
                for name, value in values.items():
                    self._board.add_scalar(name, value, step)

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
    """Returns the lines of `metrics.jsonl`, without an unfinished last line of a killed process.

    Any other unreadable line is skipped with a warning.
    """
    path, rows = folder / 'metrics.jsonl', []
    if not path.exists():
        return rows
    with files.open_regular(path) as file:
        for line_number, line in enumerate(_whole_lines(file), 1):
            row = _row(line)
            if row is None:
                log.warning('line %d of %s is damaged and left out', line_number, path)
            else:
                rows.append(row)
    return rows


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
    return row if all(map(_is_number, row.values())) else None


def _is_number(value: Any) -> bool:
    """Whether a value can be plotted: null stands for a number that is not finite."""
    if type(value) is int:
        return abs(value) < 2**63
    return value is None or type(value) is float


def read_validations(folder: pathlib.Path) -> list[tuple[int, dict[str, float]]]:
    """Returns (step, {metric: mean}) of each validation in `metrics.jsonl`; NaN stands for null."""
    validations = []
    for row in read_metrics(folder):
        means = {
            name.removeprefix('valid/'): math.nan if value is None else value
            for name, value in row.items()
            if name.startswith('valid/')
        }
        if means:
            validations.append((row['step'], means))
    return validations


def plus_minus(mean: int | float | None, spread: float | None = None, sign: str = '') -> str:
    """Formats a number to two digits of its spread, or to four digits without a spread.

    Whole numbers (int) keep all digits. `sign` '+' shows the sign of a positive number too. A dash
    stands for a number that is None or not finite.
    """
    if mean is None or not math.isfinite(mean):
        return '-'
    if spread is None or not math.isfinite(spread):
        return f'{mean:{sign}d}' if isinstance(mean, int) else _with_decimals(mean, mean, 4, sign)
    if spread == 0:
        return f'{_with_decimals(mean, mean, 4, sign)} +- 0'
    return f'{_with_decimals(mean, spread, 2, sign)} +- {_with_decimals(spread, spread, 2)}'


def rounded(mean: int | float | None, spread: float | None = None) -> str:
    """Formats a number as `plus_minus`, without its spread."""
    return plus_minus(mean, spread).partition(' ')[0]


def _with_decimals(value: float, scale: float, digits: int, sign: str = '') -> str:
    """Formats a value with the decimals that show `digits` significant digits of `scale`."""
    exponent_of = lambda number: int(f'{number:.{digits - 1}e}'.partition('e')[2])  # when rounded
    exponent = exponent_of(scale)
    if exponent >= MIN_EXPONENT:
        return f'{value:{sign}.{max(0, digits - 1 - exponent)}f}'
    more = max(0, exponent_of(value) - exponent) if value else 0
    return f'{value:{sign}.{digits - 1 + more}e}'


def aligned(table: list[list[str]]) -> list[str]:
    """Formats a table as lines, with the first column left-aligned and the others right-aligned."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    first, rest = widths[0], widths[1:]
    return [
        '  '.join([row[0].ljust(first), *(c.rjust(w) for c, w in zip(row[1:], rest, strict=True))])
        for row in table
    ]


def _cut_after(path: pathlib.Path, step: int) -> float:
    """Removes the lines after `step`; returns the seconds of training until the last one left."""
    if not path.exists():
        return 0.0
    kept = [files.with_null(row) for row in read_metrics(path.parent) if row['step'] <= step]
    files.write_text(path, ''.join(json.dumps(row, allow_nan=False) + '\n' for row in kept))
    return max((row.get('time/seconds') or 0.0 for row in kept), default=0.0)
