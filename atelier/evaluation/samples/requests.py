"""What samples are requested to be conditional on: classes, or rows of another condition."""

import csv
import pathlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from atelier.core.family import reads_condition
from atelier.data.conditions.condition import KEY, Condition
from atelier.data.conditions.words import Words
from atelier.errors import UserError, about, reading
from atelier.evaluation.samples.sampling import labels_like, order_of_known
from atelier.log import counted, escaped
from atelier.paths import user_path
from atelier.run.experiment import Run

MAX_ROWS = 100_000  # of a file
FILES = {'condition': '.csv', 'prompt': '.txt'}
Given = Int[np.ndarray, 'n'] | Float[np.ndarray, 'n columns'] | Int[np.ndarray, 'n columns']


def like_split(run: Run, split: str, max_examples: int) -> Given | None:
    """Returns what the examples of `split_examples` are conditional on: labels or conditions.

    None if the family is not conditional.
    """
    if not reads_condition(run.family):
        return labels_like(run, split, max_examples)
    index = order_of_known(run, split)[:max_examples]
    return np.asarray(run.data.splits[split][KEY])[index]


def rows_of(run: Run, condition: str = '', prompt: str = '') -> Given | None:
    """Returns the conditions [rows, columns] that the options request; None if both are empty.

    Args:
      run: whose family reads the condition of its data.
      condition: a condition such as '0.3,1.2', or the path of a .csv with a column for each name.
      prompt: a caption, or the path of a .txt with one in each line.

    Raises:
      UserError: the family reads no such condition, or a row is none.
    """
    given = {
        name: value for name, value in dict(condition=condition, prompt=prompt).items() if value
    }
    if not given:
        return None
    if len(given) > 1:
        raise UserError('--condition and --prompt: give one of them')
    ((option, text),) = given.items()
    known = _condition_for(run, option)
    if pathlib.Path(text).suffix.lower() == FILES[option]:
        return _rows_of_file(user_path(text), option, known)
    with about(f'--{option}={text}'):
        return _array([known.parsed(text)], known)


def checked_rows(run: Run, condition: Sequence | np.ndarray) -> Given:
    """Returns conditions [rows, columns], or one condition [columns], as they are requested.

    Raises:
      UserError: the family reads no such condition, or a row is none.
    """
    known = _condition_for(run, 'condition')
    rows = np.atleast_2d(np.asarray(condition)).tolist()
    with about('condition'):
        return _array([known.parsed(','.join(map(str, row))) for row in rows], known)


def _condition_for(run: Run, option: str) -> Condition:
    """Returns the run's condition, if the option gives such ones.

    Raises:
      UserError: it does not.
    """
    condition = run.data.spec.condition
    if not reads_condition(run.family) or condition is None:
        raise UserError(
            f'--{option}: the model of {run.folder} is not conditional on numbers, several labels '
            'or words'
        )
    if isinstance(condition, Words) != (option == 'prompt'):
        other = 'prompt' if option == 'condition' else 'condition'
        what = 'words' if other == 'prompt' else ', '.join(map(escaped, condition.names))
        raise UserError(
            f'--{option}: the model of {run.folder} is conditional on {what}: give --{other}'
        )
    return condition


def _rows_of_file(path: pathlib.Path, option: str, known: Condition) -> Given:
    with reading(path):
        lines = path.read_text('utf-8').splitlines()
    if len(lines) > MAX_ROWS:
        raise UserError(f'{path} has {counted(len(lines), "line")}: at most {MAX_ROWS:,} are read')
    texts = _texts_of_csv(path, lines, known) if option == 'condition' else [*enumerate(lines, 1)]
    texts = [(number, text) for number, text in texts if text.strip()]
    if not texts:
        raise UserError(f'{path} has no {option}')
    rows = []
    for number, text in texts:
        with about(f'{path}, line {number}'):
            rows.append(known.parsed(text))
    return _array(rows, known)


def _texts_of_csv(
    path: pathlib.Path, lines: Sequence[str], known: Condition
) -> list[tuple[int, str]]:
    """Returns the number and the condition of each line after the first, which names columns."""
    rows = [*csv.reader(lines)]
    header = [name.strip() for name in rows[0]] if rows else []
    missing = [name for name in known.names if name not in header]
    if missing:
        raise UserError(f'{path} has no column {escaped(missing[0])} in its first line')
    columns = [header.index(name) for name in known.names]
    texts = []
    for number, row in enumerate(rows[1:], 2):
        if row and len(row) != len(header):
            count = counted(len(row), 'value')
            raise UserError(f'{path}, line {number}: {count} for {counted(len(header), "column")}')
        texts.append((number, ','.join(row[i] for i in columns) if row else ''))
    return texts


def _array(rows: Sequence[Sequence[float | int]], known: Condition) -> Given:
    is_real = any(type(value) is float for row in rows for value in row)
    return np.asarray(rows, np.float32 if is_real else np.int32)


def described(run: Run, given: Given) -> list[str]:
    """Returns a line of text for each condition [rows, columns]."""
    return [run.data.spec.condition.described(row) for row in given.tolist()]
