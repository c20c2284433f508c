"""The condition of a data set: its kinds, what training fixes of it, and its record."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from atelier.core.float32 import is_scale
from atelier.data.conditions.labels import Labels
from atelier.data.conditions.numbers import Numbers
from atelier.data.conditions.words import Words
from atelier.names import MAX_NAME, are_encodable, fault_of_names

Condition = Numbers | Labels | Words
KEY = 'condition'  # array of a split and of a batch, [n, columns]
KINDS = {'numbers': Numbers, 'labels': Labels, 'words': Words}
UNTRAINED = 'untrained'  # field that records lack if it is empty, as those of earlier versions do
MAX_COLUMNS = 1024
MAX_EXAMPLES, MAX_EXAMPLE_VALUES = 64, 4096


def of_training(condition: Condition, values: np.ndarray) -> Condition:
    """Returns the condition with what the training split [n, columns] fixes of it.

    These are moments, and some conditions from which samples without a requested one are drawn.

    Args:
      condition: of the data.
      values: as exact as the data have them, before `in_stored_type`.

    Raises:
      UserError: a column is constant, or varies too little for float32.
    """
    count = max(1, min(MAX_EXAMPLES, MAX_EXAMPLE_VALUES // condition.num_columns, len(values)))
    rows = values[np.linspace(0, len(values) - 1, count).astype(int)]
    examples = tuple(map(tuple, in_stored_type(condition, rows).tolist()))
    return condition.fitted(np.asarray(values))._replace(examples=examples)


def as_rows(condition: Condition, rows: Sequence[Sequence[float | int]]) -> np.ndarray:
    """Returns rows of a condition [n, columns] in the type in which splits have them."""
    return in_stored_type(condition, np.array(rows))


def in_stored_type(condition: Condition, values: np.ndarray) -> np.ndarray:
    """Returns values of a condition [n, columns] in the type in which splits have them."""
    return np.asarray(values, np.float32 if isinstance(condition, Numbers) else np.int32)


def recorded(condition: Condition | None) -> dict[str, Any] | None:
    """Returns the condition as plain values for a JSON file."""
    if condition is None:
        return None
    kind = next(name for name, each in KINDS.items() if type(condition) is each)
    fields = condition._asdict()
    if not fields.get(UNTRAINED, True):
        del fields[UNTRAINED]
    return {'kind': kind, **fields}


def from_record(stored: Any) -> Condition | None:
    """Returns the condition of `recorded`, which may be untrusted.

    Raises:
      ValueError: it is no condition; the message says why.
    """
    if stored is None:
        return None
    name = stored.get('kind') if isinstance(stored, dict) else None
    if not isinstance(name, str) or name not in KINDS:
        raise ValueError('its kind is unknown')
    kind = KINDS[name]
    fields = {name: value for name, value in stored.items() if name != 'kind'}
    if not {*kind._fields} - {UNTRAINED} <= {*fields} <= {*kind._fields}:
        raise ValueError(f'its fields are not {", ".join(kind._fields)}')
    condition = kind(**{name: _as_tuples(value) for name, value in fields.items()})
    fault = _FAULTS[kind](condition) or _fault_of_examples(condition)
    if fault:
        raise ValueError(fault)
    return condition


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


def fault_of_texts(texts: Any, most: int) -> str:
    """Returns why these are no names that a file can hold, at most so many; '' if they are."""
    if not isinstance(texts, tuple) or not 1 <= len(texts) <= most:
        return f'expected 1 to {most:,} texts'
    if not all(isinstance(each, str) and 1 <= len(each) <= MAX_NAME for each in texts):
        return f'a text is empty or longer than {MAX_NAME} characters'
    if not are_encodable(texts):
        return 'a text has characters that no file can hold'
    return fault_of_names(texts)


def _fault_of_numbers(condition: Numbers) -> str:
    fault = fault_of_texts(condition.names, MAX_COLUMNS)
    for row in () if fault else (condition.mean, condition.std):
        if not _are_finite(row) or len(row) != len(condition.names):
            fault = 'mean and std are not a finite number for each name'
    if fault or all(map(is_scale, condition.std)):
        return fault
    return 'std is not above 0, or out of the range of float32'


def _fault_of_labels(condition: Labels) -> str:
    fault = fault_of_texts(condition.names, MAX_COLUMNS)
    if fault or not isinstance(condition.values, tuple):
        return fault or 'values are no texts'
    if len(condition.values) != len(condition.names):
        return 'values are not the texts of each name'
    fault = next(filter(None, (fault_of_texts(each, MAX_VALUES) for each in condition.values)), '')
    if fault or _are_untrained(condition.untrained, condition.values):
        return fault
    return 'values without examples of training are not some of each name'


def _are_untrained(untrained: Any, values: tuple[tuple[str, ...], ...]) -> bool:
    """Whether these, which may be untrusted, are some of the values of each label, or ()."""
    if not isinstance(untrained, tuple) or len(untrained) not in (0, len(values)):
        return False
    return all(map(_are_some_of, untrained, values))


def _fault_of_words(condition: Words) -> str:
    if type(condition.length) is not int or not 2 <= condition.length <= MAX_COLUMNS:
        return f'length is not a whole number from 2 to {MAX_COLUMNS}'
    fault = fault_of_texts(condition.vocabulary, MAX_WORDS)
    if fault or _are_some_of(condition.untrained, condition.vocabulary):
        return fault
    return 'words that training lacks are not some of the vocabulary'


def _are_some_of(texts: Any, known: tuple[str, ...]) -> bool:
    """Whether these, which may be untrusted, are some of the known texts and not all."""
    if not isinstance(texts, tuple) or not all(isinstance(each, str) for each in texts):
        return False
    return {*texts} < {*known} and len({*texts}) == len(texts)


def _fault_of_examples(condition: Condition) -> str:
    """Returns why the examples are no conditions; '' if they are."""
    rows = condition.examples
    if not isinstance(rows, tuple) or not 1 <= len(rows) <= MAX_EXAMPLES:
        return f'expected 1 to {MAX_EXAMPLES} examples'
    if not all(isinstance(row, tuple) and len(row) == condition.num_columns for row in rows):
        return 'an example has another number of values'
    if isinstance(condition, Numbers):
        return '' if all(map(_are_finite, rows)) else 'a value of an example is not finite'
    is_index = lambda value, size: type(value) is int and 0 <= value < size
    fits = all(all(map(is_index, row, condition.sizes)) for row in rows)
    return '' if fits else 'a value of an example is out of range'


def _are_finite(row: Any) -> bool:
    if not isinstance(row, tuple) or not all(type(each) in (int, float) for each in row):
        return False
    try:
        return bool(np.all(np.isfinite(np.asarray(row, np.float32))))
    except OverflowError:  # an integer of hundreds of digits
        return False


MAX_VALUES = 1000  # of a label
MAX_WORDS = 10_000
_FAULTS = {Numbers: _fault_of_numbers, Labels: _fault_of_labels, Words: _fault_of_words}
