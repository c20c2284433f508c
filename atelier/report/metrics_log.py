"""The metrics of a run: metrics.jsonl, TensorBoard files, and tables for the terminal."""

import json
import pathlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from atelier import files
from atelier.errors import writing
from atelier.log import log

MAX_LINE = 1 << 20  # bytes


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
        """Writes one line and, with `to_board`, one TensorBoard point per value."""
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
    """Returns (step, {metric: mean}) of each validation in `metrics.jsonl`."""
    validations = []
    for row in read_metrics(folder):
        means = {k.removeprefix('valid/'): v for k, v in row.items() if k.startswith('valid/')}
        if means:
            validations.append((row['step'], means))
    return validations


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
    if not path.exists():
        return
    kept = [json.dumps(row) + '\n' for row in read_metrics(path.parent) if row['step'] <= step]
    files.write_text(path, ''.join(kept))
