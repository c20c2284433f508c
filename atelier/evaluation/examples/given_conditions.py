"""The condition of examples in place of a run's test split, read as that of training."""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from jaxtyping import Shaped

from atelier.core.family import reads_condition
from atelier.core.float32 import LARGEST
from atelier.data import condition_files
from atelier.data.classes import MAX_SHOWN
from atelier.data.condition_arrays import NAMES
from atelier.data.condition_columns import Columns, rows_as
from atelier.data.condition_files import Source
from atelier.data.condition_lines import columns_of
from atelier.data.condition_splits import CAPTION
from atelier.data.conditions.condition import KEY, Condition
from atelier.data.conditions.numbers import Numbers
from atelier.data.conditions.request import FINITE
from atelier.data.conditions.setting import chosen
from atelier.data.conditions.words import Words
from atelier.errors import UserError
from atelier.log import escaped, listed, log
from atelier.names import stored_names
from atelier.run.experiment import Run

Split = dict[str, np.ndarray]
T = TypeVar('T')


def names_of(run: Run) -> tuple[str, ...] | None:
    """Returns the columns with the condition of a run, as `setting.chosen` does.

    It is None if the data of the run have no condition.
    """
    condition = run.data.spec.condition
    if condition is None:
        return None
    if isinstance(condition, Words):
        return chosen(run.config.data.get('condition', ())) or ()
    return condition.names


def where_needed(run: Run, read: Callable[[], T], nothing: Callable[[], T]) -> T:
    """Returns the condition that `read` reads, or `nothing()` if it cannot and no model needs it.

    Args:
      run: whose model may need the condition. Others pass over a condition that they cannot read.
      read: reads it.
      nothing: returns what examples without a condition have.

    Raises:
      UserError: the model needs the condition, and `read` raises it.
    """
    if reads_condition(run.family):
        return read()
    try:
        return read()
    except UserError as error:
        log.warning('the condition is passed over: %s', error)
        return nothing()


def check_whole(run: Run, split: Split) -> Split:
    """Returns the split, which has the condition if the model needs it.

    Raises:
      UserError: it is missing.
    """
    condition = run.data.spec.condition
    if condition is None or KEY in split or not reads_condition(run.family):
        return split
    if isinstance(condition, Words):
        needed, advice = 'the caption', f'captions.txt beside pictures, or {CAPTION} in an .npz'
    else:
        needed = f'the condition ({listed([*map(escaped, condition.names)], MAX_SHOWN)})'
        advice = f'metadata.jsonl or metadata.csv beside pictures, or {KEY} in an .npz'
    raise UserError(f'the model of {run.folder} needs {needed} of each example: give {advice}')


def beside(run: Run, root: pathlib.Path) -> list[Source]:
    """Returns the file in a folder that has the condition of its pictures, if there is one.

    Captions may be in another file than those of training. A model that does not read the condition
    needs no such columns.

    Raises:
      UserError: as `condition_files.find`.
    """
    return where_needed(run, lambda: _beside(run, root), list)


def _beside(run: Run, root: pathlib.Path) -> list[Source]:
    names, bases = names_of(run), {'test': root}
    found = condition_files.find(root, bases, names)
    is_of_words = names is not None and isinstance(run.data.spec.condition, Words)
    found = condition_files.find(root, bases, ()) if is_of_words and not found else found
    has_columns = lambda source: {*source.names} & {*columns_of(source.path)}
    return found if reads_condition(run.family) else [*filter(has_columns, found)]


def of_pictures(run: Run, sources: list[Source], pictures: Sequence[str]) -> Split:
    """Returns {`KEY`: [n, columns]} of pictures, from the file of `beside`; {} if there is none.

    Raises:
      UserError: a picture has no condition, or one that training lacks, and the model needs it.
    """
    if not sources:
        return {}
    return where_needed(run, lambda: _of_pictures(run, sources, pictures), dict)


def _of_pictures(run: Run, sources: list[Source], pictures: Sequence[str]) -> Split:
    is_strict = run.config.data.get('strict', False)
    columns = condition_files.read(sources, [pictures], is_strict, are_texts=True)
    for note in columns.notes:
        log.info('%s: %s', sources[0].path.parent, note)
    return {KEY: rows_as(run.data.spec.condition, columns)}


def of_columns(run: Run, columns: Columns | None) -> Split:
    """Returns {`KEY`: [n, columns]} of values in columns; {} if there are none.

    Raises:
      UserError: an example has no condition, or one that training lacks, and the model needs it.
    """
    if columns is None:
        return {}
    return where_needed(run, lambda: {KEY: rows_as(run.data.spec.condition, columns)}, dict)


def keys_of(run: Run) -> tuple[str, ...]:
    """Returns the key of arrays with the condition of a run; () if its data have none."""
    condition = run.data.spec.condition
    if condition is None:
        return ()
    return (CAPTION,) if isinstance(condition, Words) else (KEY,)


def of_arrays(run: Run, arrays: Mapping, suffixes: Sequence[str], sizes: Sequence[int]) -> Split:
    """Returns {`KEY`: [n, columns]} of the arrays of an .npz; {} if it has no condition.

    Args:
      run: its Spec says what the condition is.
      arrays: of the file.
      suffixes: of the keys of its parts.
      sizes: examples of each part.

    Raises:
      UserError: the values are not of the run's condition, or some parts have none.
    """
    condition, keys = run.data.spec.condition, [k + s for k in keys_of(run) for s in suffixes]
    given = [key for key in keys if key in arrays]
    if not given:
        return {}
    if len(given) < len(keys):
        raise UserError(f'it has {", ".join(given)} of {", ".join(keys)}: give all or none')
    names = [str(name) for name in arrays.get(NAMES, np.array([])).ravel().tolist()]
    if names and stored_names(names) != condition.names:
        raise UserError(
            f'its {NAMES} are {listed([*map(escaped, names)], MAX_SHOWN)}, and those of the run '
            f'{listed([*map(escaped, condition.names)], MAX_SHOWN)}: give the same, in this order'
        )
    parts = [
        checked(condition, np.asarray(arrays[key]), n, key)
        for key, n in zip(given, sizes, strict=True)
    ]
    return {KEY: np.concatenate(parts)}


def checked(
    condition: Condition, values: np.ndarray, n: int, name: str
) -> Shaped[np.ndarray, 'n columns']:
    """Returns the condition of n examples as the run has it.

    Args:
      condition: of the run.
      values: captions [n], names of labels [n, columns], or stored values [n, columns].
      n: number of examples.
      name: of the array, for messages.

    Raises:
      UserError: the values are of another shape, or training lacks one of them.
    """
    is_text = values.dtype.kind in 'UT' and not isinstance(condition, Numbers)
    if is_text and isinstance(condition, Words) and values.shape == (n,):
        return rows_as(condition, Columns({CAPTION: values.tolist()}, _row_of(name)))
    has_shape = values.shape == (n, condition.num_columns)
    if is_text and not isinstance(condition, Words) and has_shape:
        columns = dict(zip(condition.names, values.T.tolist(), strict=True))
        return rows_as(condition, Columns(columns, _row_of(name)))
    kinds = 'biuf' if isinstance(condition, Numbers) else 'biu'
    if not has_shape or values.dtype.kind not in kinds:
        is_caption = isinstance(condition, Words)
        needed = f'texts [{n}]' if is_caption else f'values [{n}, {condition.num_columns}]'
        raise UserError(f'{name} is {values.dtype} {values.shape}: give {needed}')
    return _checked_values(condition, values, name)


def _row_of(name: str):
    return lambda i: f'{name}, row {i}'


def _checked_values(
    condition: Condition, values: np.ndarray, name: str
) -> Shaped[np.ndarray, 'n columns']:
    if isinstance(condition, Numbers):
        bad = np.argwhere(~(np.abs(values.astype(np.float64)) <= LARGEST))
        if len(bad):
            row, column = bad[0]
            raise UserError(
                f'{name}, row {row}: {escaped(condition.names[column])} is '
                f'{values[row, column]}: give {FINITE}'
            )
        return values.astype(np.float32)
    bad = np.argwhere((values < 0) | (values >= np.array(condition.sizes)))
    if len(bad):
        row, column = bad[0]
        raise UserError(
            f'{name}, row {row}: {values[row, column]} in column {column}: give integers from 0 '
            f'to {condition.sizes[column] - 1}, as the run numbers them'
        )
    values = values.astype(np.int32)
    bad = np.argwhere(~condition.is_trained(values))
    if len(bad):
        row, column = bad[0]
        raise UserError(
            f'{name}, row {row}: {values[row, column]} in column {column}: no example of training '
            'has this value'
        )
    return values
