"""The conditions of examples in an `.npz`: numbers, several labels, or texts."""

import pathlib
from collections.abc import Mapping

import numpy as np

from atelier.core.float32 import LARGEST
from atelier.data.condition_columns import fault_of_caption
from atelier.data.condition_splits import CAPTION, Splits
from atelier.data.conditions.condition import KEY, MAX_VALUES, Condition
from atelier.data.conditions.labels import Labels
from atelier.data.conditions.numbers import Numbers
from atelier.errors import UserError
from atelier.names import fault_of_names, stored_names, texts_in

NAMES = 'condition_names'


def of_arrays(
    arrays: Mapping, suffix: str, count: int, path: pathlib.Path
) -> dict[str, np.ndarray]:
    """Returns the array `KEY` or `CAPTION` of a split, if the file has one.

    Args:
      arrays: of the file.
      suffix: of the keys of the split, '' or '_train', ...
      count: number of examples.
      path: of the file, for messages.

    Raises:
      UserError: it is not [count, columns] of numbers or labels, a value is not finite, or it is
        not `count` texts; or the file has both.
    """
    given = {key: arrays[key + suffix] for key in (KEY, CAPTION) if key + suffix in arrays}
    if len(given) > 1:
        raise UserError(f'{path} has both {KEY}{suffix} and {CAPTION}{suffix}: keep one of them')
    checks = {KEY: _checked_condition, CAPTION: _checked_caption}
    return {
        key: checks[key](array, count, f'{key}{suffix} of {path}') for key, array in given.items()
    }


def _checked_caption(texts: object, count: int, name: str) -> np.ndarray:
    if not isinstance(texts, np.ndarray) or texts.dtype.kind != 'U' or texts.shape != (count,):
        got = f'{getattr(texts, "dtype", "no array")} {np.shape(texts)}'
        raise UserError(f'{name}: expected texts of shape ({count},), got {got}')
    known: set[str] = set()
    for row, text in enumerate(texts.tolist()):
        fault = fault_of_caption(text, known)
        if fault:
            raise UserError(f'{name}, row {row}: it {fault}')
    return texts


def _checked_condition(values: object, count: int, name: str) -> np.ndarray:
    kind = getattr(getattr(values, 'dtype', None), 'kind', '')
    is_table = np.ndim(values) == 2 and len(values) == count and values.size > 0
    if kind not in 'fiub' or not kind or not is_table:
        got = f'{getattr(values, "dtype", "no array")} {np.shape(values)}'
        raise UserError(f'{name}: expected numbers of shape ({count}, columns), got {got}')
    if kind == 'f':
        values = values.astype(np.float64)
        bad = np.argwhere(~(np.abs(values) <= LARGEST))
        if len(bad):
            row, column = bad[0]
            raise UserError(
                f'{name}: value {values[row, column]} of row {row}, column {column}: give finite '
                'numbers, and leave examples without one out'
            )
        return values
    if not 0 <= values.min() <= values.max() < MAX_VALUES:
        raise UserError(
            f'{name}: integers are labels, from 0 to {MAX_VALUES - 1}, and these go from '
            f'{values.min()} to {values.max()}: save numbers as floats'
        )
    return values.astype(np.int32)


def declared_condition(
    splits: Splits, names: np.ndarray | None, path: pathlib.Path
) -> Condition | None:
    """Returns the condition of the array `KEY` of the splits; None if there is none.

    Args:
      splits: of the file.
      names: `NAMES` of the file, [columns] texts; None: columns are called by their numbers.
      path: of the file, for messages.

    Raises:
      UserError: the names are not those of the columns.
    """
    parts = [part[KEY] for part in splits.values() if KEY in part]
    if not parts:
        if names is not None:
            raise UserError(f'{path} has {NAMES}, but no {KEY}')
        return None
    columns = parts[0].shape[1]
    column_names = _names(names, columns, path)
    if parts[0].dtype.kind == 'f':
        return Numbers(column_names)
    tops = np.max([part.max(0) for part in parts], 0) + 1
    return Labels(column_names, tuple(tuple(map(str, range(top))) for top in tops.tolist()))


def _names(names: np.ndarray | None, columns: int, path: pathlib.Path) -> tuple[str, ...]:
    if names is None:
        return tuple(f'column {i}' for i in range(columns))
    given = texts_in(names)
    fault = fault_of_names(given)
    if fault or len(given) != columns:
        raise UserError(f'{NAMES} of {path}: {fault or "not one a column"}: give {columns} names')
    return stored_names(given)


def kinds_of(split: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """Returns what the examples of a split have besides x, as it is printed."""
    condition = split.get(KEY)
    kind = '' if condition is None else f', condition {condition.dtype} {condition.shape[1:]}'
    given = (', labelled' if 'label' in split else '', ', captions' if CAPTION in split else '')
    return (*given, kind)
