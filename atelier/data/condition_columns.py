"""Columns of a file as a condition: numbers, labels or captions, by the kind of their values."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int32, Shaped

from atelier.core.float32 import LARGEST
from atelier.data.classes import natural
from atelier.data.condition_splits import CAPTION
from atelier.data.conditions.condition import KEY, MAX_VALUES, Condition, as_rows, fault_of_texts
from atelier.data.conditions.labels import Labels
from atelier.data.conditions.numbers import Numbers
from atelier.data.conditions.request import FINITE
from atelier.data.conditions.setting import SWITCH_OFF, TEXTS
from atelier.data.conditions.words import words_of
from atelier.data.origins import ROW
from atelier.errors import UserError, about, shortened
from atelier.log import counted, escaped, log
from atelier.memory import total_bytes

BYTES_OF_SYMBOL = 4  # in an array of texts, whose rows are all as long as the longest
MEMORY_SHARE = 4  # at most memory / this for captions
KINDS = {bool: 'true or false', int: 'a number', float: 'a number', str: 'a text'}
ORDER = ('test', 'valid', 'train')  # as splits by content are cut, so that they stay neighbours


class Columns(NamedTuple):
    """Values of examples, as a file has them; they may be untrusted.

    values: by name, of each example a text, a number, a bool, or None if it is missing.
    place: function(index) -> file and line of the values of an example, for messages.
    notes: lines on where they come from.
    """

    values: dict[str, list]
    place: Callable[[int], str]
    notes: tuple[str, ...] = ()


def of_cell(text: str) -> str | float:
    """Returns the number that a cell of a table holds, or its text."""
    try:
        return text if '_' in text else float(text)  # Python also reads 1_000
    except ValueError:
        return text


class Arrays(NamedTuple):
    """The condition of examples: {`CAPTION`: texts [n]}, or {`KEY`: values [n, columns]}.

    condition: what the values are; None of captions. Numbers are float64, as exact as the file
      has them.
    notes: as of `Columns`.
    """

    arrays: dict[str, np.ndarray]
    condition: Condition | None
    notes: tuple[str, ...]


def joined(parts: Sequence[Columns | None], owner: object) -> Columns | None:
    """Returns the columns of several files, one after the other; None if they have none.

    Args:
      parts: of each file; the columns of a file are equally long.
      owner: what the files are called in a message.

    Raises:
      UserError: the files have different columns.
    """
    names = [tuple(part.values) if part else () for part in parts]
    if len({*names}) > 1:
        described = sorted(', '.join(map(escaped, each)) or 'none' for each in {*names})
        raise UserError(
            f'{owner}: its files have different columns of the condition ({"; ".join(described)}): '
            'choose columns that all have by config.data.condition'
        )
    if not names[0]:
        return None
    ends = np.cumsum([len(part.values[names[0][0]]) for part in parts])

    def place(i: int) -> str:
        which = int(np.searchsorted(ends, i, 'right'))
        return parts[which].place(i - int(ends[which - 1]) if which else i)

    values = {name: [each for part in parts for each in part.values[name]] for name in names[0]}
    return Columns(values, place, sum((part.notes for part in parts), ()))


def prepared(columns: Columns | None, owner: str, is_guess: bool) -> Arrays | None:
    """Returns the condition of the columns of a file; None if there is none.

    Args:
      columns: of all examples.
      owner: what the file is called.
      is_guess: whether the columns were not chosen by name. Then equal captions, from which nothing
        can be learned, are no condition, and a note says how to leave captions out.

    Raises:
      UserError: as `arrays_of`.
    """
    if columns is None:
        return None
    names, guess = ', '.join(map(escaped, columns.values)), f'; {SWITCH_OFF}' * is_guess
    if is_guess and all(len({*map(str, values)}) == 1 for values in columns.values.values()):
        log.info('%s: each %s is the same, and no condition', owner, names)
        return None
    try:
        arrays = arrays_of(columns)
    except UserError as error:
        raise UserError(f'{error}{guess}') from error
    note = f'condition: {names} of {owner}{guess}'
    return arrays._replace(notes=(note, *arrays.notes))


def with_condition(data: Any, given: Arrays | None) -> Any:
    """Returns a `Dataset` with a condition, whose notes are logged.

    Args:
      data: its splits have the number `ROW` of each example among those of the arrays.
      given: the condition; None: there is none.
    """
    if given is None:
        return data
    names = [name for name in ORDER if name in data.splits]
    rows = [np.asarray(data.splits[name][ROW]) for name in names]
    ends = np.cumsum([len(each) for each in rows])[:-1]
    splits = {name: dict(split) for name, split in data.splits.items()}
    for key, array in given.arrays.items():
        for name, part in zip(names, np.split(array[np.concatenate(rows)], ends), strict=True):
            splits[name][key] = part
    for note in given.notes:
        log.info('%s: %s', data.name, note)
    spec = data.spec._replace(condition=given.condition)
    return data._replace(spec=spec, splits=splits, notes=(*given.notes, *data.notes))


def arrays_of(columns: Columns) -> Arrays:
    """Returns the condition of columns: captions, numbers or labels, by the kind of their values.

    Raises:
      UserError: a value is missing, not finite or of another kind than others; names its place.
    """
    for name, values in columns.values.items():
        if name in TEXTS:
            captions = _captions(name, values, columns.place)
            return Arrays({CAPTION: captions}, None, columns.notes)
    kinds = {name: _kind(name, v, columns.place) for name, v in columns.values.items()}
    numbers = [name for name, kind in kinds.items() if kind == KINDS[float]]
    if numbers and len(numbers) < len(kinds):
        other = next(name for name in kinds if name not in numbers)
        raise UserError(
            f'a condition is of numbers or of labels: {escaped(numbers[0])} has numbers and '
            f'{escaped(other)} labels: set config.data.condition to columns of one kind'
        )
    if numbers:
        each = [_numbers(name, v, columns.place) for name, v in columns.values.items()]
        return Arrays({KEY: np.stack(each, 1)}, Numbers(tuple(kinds)), columns.notes)
    known, index = {}, []
    for name, values in columns.values.items():
        known[name], numbered = _labels(name, values, columns.place)
        index.append(numbered)
    labels = Labels(tuple(known), tuple(known.values()))
    return Arrays({KEY: np.stack(index, 1)}, labels, columns.notes)


def rows_as(condition: Condition, columns: Columns) -> Shaped[np.ndarray, 'n columns']:
    """Returns the condition of examples as a run has it, whose `condition` is of its Spec.

    Raises:
      UserError: a value is missing, or training lacks it; names its place.
    """
    known, rows = {}, []
    for i, values in enumerate(zip(*columns.values.values(), strict=True)):
        with about(columns.place(i)):
            pairs = zip(columns.values, values, strict=True)
            texts = tuple(_as_text(name, value) for name, value in pairs)
            if texts not in known:
                known[texts] = condition.row(texts)
        rows.append(known[texts])
    return as_rows(condition, rows)


def _as_text(name: str, value: Any) -> str:
    if _is_missing(value):
        raise UserError(f'{escaped(name)} is missing')
    if not isinstance(value, str | int | float):
        raise UserError(f'{escaped(name)} is {shortened(value)}: give a text or a number')
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_missing(value: Any) -> bool:
    return value is None or isinstance(value, str) and not value.strip()


def _kind(name: str, values: Sequence, place: Callable[[int], str]) -> str:
    """Returns the kind of all values."""
    for i, value in enumerate(values):
        fault, advice = '', 'give every example one'
        if _is_missing(value):
            fault = 'is missing'
        elif type(value) not in KINDS:
            fault, advice = f'is {shortened(value)}', 'give a number, a text, or true or false'
        elif KINDS[type(value)] != KINDS[type(values[0])]:
            fault = f'is {shortened(value)}, and {shortened(values[0])} in {place(0)}'
            advice = 'give only numbers, only texts, or only true and false'
        if fault:
            raise UserError(f'{place(i)}: {escaped(name)} {fault}: {advice}')
    return KINDS[type(values[0])]


def _numbers(name: str, values: Sequence, place: Callable[[int], str]) -> Float64[np.ndarray, 'n']:
    numbers = np.array([_float(value) for value in values])
    bad = np.flatnonzero(~(np.abs(numbers) <= LARGEST))
    if len(bad):
        value = shortened(values[bad[0]])
        raise UserError(f'{place(int(bad[0]))}: {escaped(name)} is {value}: give {FINITE}')
    return numbers


def _float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer of hundreds of digits
        return math.inf


def _labels(
    name: str, values: Sequence, place: Callable[[int], str]
) -> tuple[tuple[str, ...], Int32[np.ndarray, 'n']]:
    """Returns the different values in natural order, and the index of that of each example."""
    texts = [_as_text(name, value).strip() for value in values]
    known = tuple(sorted({*texts}, key=natural))
    if len(known) > MAX_VALUES:
        raise UserError(
            f'{escaped(name)} has {counted(len(known), "different text")}, more than a label has '
            f'({MAX_VALUES:,}): captions are read from {" or ".join(TEXTS)}'
        )
    for text in known:
        fault = 'a comma, which separates labels' if ',' in text else fault_of_texts((text,), 1)
        if fault:
            i = texts.index(text)
            raise UserError(f'{place(i)}: {escaped(name)} is {shortened(text)}: {fault}: rename it')
    number = {text: index for index, text in enumerate(known)}
    return known, np.array([number[text] for text in texts], np.int32)


def _captions(name: str, values: Sequence, place: Callable[[int], str]) -> Shaped[np.ndarray, 'n']:
    known: set[str] = set()
    for i, value in enumerate(values):
        fault = fault_of_caption(value, known)
        if fault:
            raise UserError(f'{place(i)}: {name} {fault}')
    longest = max(range(len(values)), key=lambda i: len(values[i]))
    size = len(values) * len(values[longest]) * BYTES_OF_SYMBOL
    if size > total_bytes() // MEMORY_SHARE:
        raise UserError(
            f'{place(longest)}: {name} has {counted(len(values[longest]), "character")}, too many '
            f'for the memory of this machine with {counted(len(values), "caption")}: shorten it'
        )
    return np.array(values, np.str_)


def fault_of_caption(value: Any, known: set[str]) -> str:
    """Returns why a value is no caption; '' if it is one, whose words are then added to `known`."""
    if _is_missing(value):
        return 'is missing or empty: give each picture at least one word'
    if not isinstance(value, str):
        return f'is {shortened(value)}: give a text'
    for word in {*words_of(value)} - known:
        fault = fault_of_texts((word,), 1)
        if fault:
            return f'is {shortened(value)}: its word {shortened(word)}: {fault}'
        known.add(word)
    return ''
