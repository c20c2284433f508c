"""What samples are requested to be conditional on: classes, or rows of another condition."""

import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from atelier.core.family import reads_condition
from atelier.data.condition_lines import cells_of, header_of, texts_of
from atelier.data.conditions.condition import KEY, Condition, as_rows
from atelier.data.tables import check_width
from atelier.errors import UserError, about, shortened
from atelier.evaluation.samples.sampling import (
    asked_by,
    check_labels,
    class_labels,
    labels_like,
    order_of_known,
)
from atelier.log import counted, escaped
from atelier.paths import user_path
from atelier.run import result_names
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


def parse_labels(run: Run, labels: str) -> np.ndarray | None:
    """Returns the classes in `labels`, int32 [classes], or None if it is empty.

    Raises:
      UserError: they are not classes of the training data, or the family is not class-conditional.
    """
    if not labels:
        return None
    if labels == 'all':
        return check_labels(run, run.data.spec.known_classes)
    with about(f'--labels={labels}'):
        return check_labels(run, class_labels(run, labels))


def rows_of(run: Run, condition: str | None = None, prompt: str | None = None) -> Given | None:
    """Returns the conditions [rows, columns] that the options request; None if neither is given.

    Args:
      run: whose family reads the condition of its data.
      condition: a condition such as '0.3,1.2', or the path of a .csv with a column for each name.
      prompt: a caption, or the path of a .txt with one in each line.

    Raises:
      UserError: the family reads no such condition, or a row is none.
    """
    options = dict(condition=condition, prompt=prompt)
    given = {name: value for name, value in options.items() if value is not None}
    if not given:
        return None
    if len(given) > 1:
        raise UserError('--condition and --prompt: give one of them')
    ((option, text),) = given.items()
    known = _condition_for(run, option)
    if _is_file(option, text):
        return _rows_of_file(user_path(text), option, known)
    with about(f'--{option}={text}'):
        return as_rows(known, [known.parsed(text)])


def name_of(option: str, text: str | None) -> str:
    """Returns the request as a part of the name of a file, such as '-condition-0.3,1.2'.

    No two requests share it: a file has the checksum of its whole path, and so has a long text. It
    is '' of None.
    """
    if text is None:
        return ''
    if _is_file(option, text):
        whole = str(user_path(text).resolve())
        return f'-{option}-{result_names.checksum_of_text(whole)}'
    return result_names.suffix_of_text(option, text)


def _is_file(option: str, text: str) -> bool:
    return pathlib.Path(text).suffix.lower() == FILES[option]


def checked_rows(run: Run, condition: Any) -> Given:
    """Returns conditions [rows, columns], or one condition [columns], as they are requested.

    Raises:
      UserError: the family reads no such condition, or a row is none.
    """
    known = _condition_for(run, 'condition')
    with about('condition'):
        rows = [[*map(_text_of, row)] for row in _table_of(condition)]
        return as_rows(known, [known.row(row) for row in rows])


def checked_prompts(run: Run, prompt: Any) -> Given:
    """Returns the rows of one caption, of the lines of a .txt, or of each caption of a sequence.

    Raises:
      UserError: the family reads no captions, or one is none.
    """
    if isinstance(prompt, str):
        return rows_of(run, prompt=prompt)
    known, prompts = _condition_for(run, 'prompt'), _plain(prompt)
    with about('prompt'):
        if not (isinstance(prompts, list) and all(isinstance(each, str) for each in prompts)):
            raise UserError(f'{shortened(prompt)}: give a caption, or a list of captions')
        if not prompts:
            raise UserError('an empty list: give at least one caption')
        return as_rows(known, [known.parsed(each) for each in prompts])


def _table_of(condition: Any) -> list[list]:
    """Returns rows of values; a value or a row alone is a row of its own.

    Raises:
      UserError: there is no row, or some of the rows are values.
    """
    values = _plain(condition)
    values = values if isinstance(values, list) else [values]
    is_row = [isinstance(each, list) for each in values]
    if not values:
        raise UserError('it is empty: give at least one row of values')
    if any(is_row) != all(is_row):
        raise UserError('some of its rows are values: give a list of values for each row')
    return values if any(is_row) else [values]


def _plain(values: Any) -> Any:
    """Returns arrays and sequences, also inside of others, as lists; anything else as it is."""
    values = values.tolist() if hasattr(values, 'tolist') else values
    return [*map(_plain, values)] if isinstance(values, list | tuple) else values


def _text_of(value: Any) -> str:
    """Returns a value as text; truth values as a condition of labels has them."""
    return str(value).lower() if isinstance(value, bool) else str(value)


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
    what, right = asked_by(condition)
    if option != right:
        raise UserError(
            f'--{option}: the model of {run.folder} is conditional on {what}: give --{right}'
        )
    return condition


def _rows_of_file(path: pathlib.Path, option: str, known: Condition) -> Given:
    requests = _of_table(path, known) if option == 'condition' else _of_lines(path)
    rows = []
    for number, parts in requests:
        if len(rows) == MAX_ROWS:
            raise UserError(f'{path} has more than {counted(MAX_ROWS, option)}: give fewer')
        with about(f'{path}, line {number:,}'):
            rows.append(known.row(parts))
    if not rows:
        raise UserError(f'{path} has no {option}')
    return as_rows(known, rows)


def _of_lines(path: pathlib.Path) -> Iterator[tuple[int, list[str]]]:
    """Yields the number and the caption of each line that is not empty."""
    return ((number, [line]) for number, line in texts_of(path) if line.strip())


def _of_table(path: pathlib.Path, known: Condition) -> Iterator[tuple[int, list[str]]]:
    """Yields the number and the values of each row after the first, which names the columns."""
    rows = cells_of(path)
    header = header_of(rows)
    for name in known.names:
        count = header.count(name)
        if count != 1:
            fault = f'{count} columns called' if count else 'no column'
            raise UserError(f'{path} has {fault} {escaped(name)} in its first line')
    columns = [header.index(name) for name in known.names]
    for number, cells in rows:
        check_width(cells, header, f'{path}, line {number:,}')
        yield number, [cells[i] for i in columns]


def described(run: Run, given: Given) -> list[str]:
    """Returns a line of text for each condition [rows, columns]."""
    return [run.data.spec.condition.described(row) for row in given.tolist()]
