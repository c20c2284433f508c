"""An attribute that the condition of the data holds: a number, a label, or a word of captions."""

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Num

from atelier.data.conditions.condition import Condition
from atelier.data.conditions.labels import Labels
from atelier.data.conditions.numbers import Numbers
from atelier.data.conditions.words import Words, words_of
from atelier.errors import UserError, did_you_mean, shortened_text
from atelier.log import escaped, listed

WORD = 'word'
COLUMN = 'condition:'  # may precede the name of a column, which another attribute may have too
MAX_SHOWN = 40  # names in a message
INDEX = re.compile('[0-9]{1,4}')
PLAIN = re.compile('[a-z]+')


class Contrast(NamedTuple):
    """What the condition says of the two ends of a direction.

    noun: the attribute as it is printed, such as age, hair or word.
    column: of the condition; None for a word, which may stand anywhere in a caption.
    values: at the start and at the end, of a label or as tokens; () for a number, which rises.
    names: the ends as they are printed.
    unit: of a step: a change of the number, or 1, which leads from one end to the other.
    is_plain: whether a file name can hold the attribute and its ends so that flags give them back.
    """

    noun: str
    column: int | None
    values: tuple[int, ...] = ()
    names: tuple[str, str] = ('low', 'high')
    unit: float = 1.0
    is_plain: bool = True

    @property
    def is_number(self) -> bool:
        """Whether it is a number, which has no two ends."""
        return not self.values

    @property
    def scale(self) -> str:
        """What the values of `of` are called."""
        source, target = self.names
        return self.noun if self.is_number else f'{self.noun} ({source} is 0, {target} is 1)'

    @property
    def sets(self) -> list[str]:
        """What the examples of each end are called."""
        kind = 'captions with' if self.column is None else self.noun
        return [f'{kind} {name}' for name in self.names]

    def of(self, condition: Num[np.ndarray, 'n columns']) -> Float[np.ndarray, 'n']:
        """Returns the number, or 0 at the start and 1 at the end; nan at neither and at both."""
        if self.is_number:
            return condition[:, self.column].astype(np.float64)
        columns = condition if self.column is None else condition[:, [self.column]]
        at_start, at_end = ((columns == value).any(1) for value in self.values)
        return np.where(at_start == at_end, np.nan, at_end)


def contrast_of(
    condition: Condition | None,
    attribute: str,
    source: int | str,
    target: int | str,
    change: float = 0.0,
) -> Contrast | None:
    """Returns the contrast that `--attribute` names; None if the condition has no such attribute.

    Args:
      condition: of the data.
      attribute: name of a column, perhaps after `COLUMN`, or `WORD`.
      source: value of a label or word at the start, not for a number.
      target: likewise at the end.
      change: of the number, a step; 0: its standard deviation.

    Raises:
      UserError: there is no such value or word, or both ends are the same.
    """
    if isinstance(condition, Words):
        return _of_words(condition, source, target) if attribute == WORD else None
    name = attribute.removeprefix(COLUMN)
    if condition is None or name not in condition.names:
        return None
    column = condition.names.index(name)
    is_plain = PLAIN.fullmatch(attribute) is not None and attribute != WORD
    if isinstance(condition, Numbers):
        unit = change or condition.std[column]
        return Contrast(escaped(name), column, unit=unit, is_plain=is_plain)
    return _of_label(condition, column, source, target, is_plain)


def attributes_of(condition: Condition | None, taken: Collection[str] = ()) -> list[str]:
    """Returns what `--attribute` may be for a condition, as it is printed.

    Columns whose name is in `taken` begin with `COLUMN`.
    """
    if isinstance(condition, Words):
        return [WORD]
    names = condition.names if condition else ()
    return [COLUMN * (name in taken) + escaped(name) for name in names]


def _of_label(
    condition: Labels, column: int, source: int | str, target: int | str, is_plain: bool
) -> Contrast:
    noun, known = escaped(condition.names[column]), condition.values[column]
    ends = [
        _checked(option, text, _index_of(known, text), known, f'values of {noun}')
        for option, text in (('source', source), ('target', target))
    ]
    is_plain = is_plain and all(_index_of(known, end) == end for end in ends)
    return _between(noun, column, ends, [known[end] for end in ends], is_plain)


def _of_words(condition: Words, source: int | str, target: int | str) -> Contrast:
    known, ends = condition.vocabulary, []
    for option, text in (('source', source), ('target', target)):
        words = words_of(str(text))
        index = known.index(words[0]) if len(words) == 1 and words[0] in known else None
        ends.append(_checked(option, text, index, known, 'words of captions of training'))
    names = [known[end] for end in ends]
    is_plain = all(PLAIN.fullmatch(name) for name in names)
    return _between(WORD, None, [end + 1 for end in ends], names, is_plain)


def _between(
    noun: str, column: int | None, ends: list[int], names: list[str], is_plain: bool
) -> Contrast:
    source, target = map(escaped, names)
    if ends[0] == ends[1]:
        raise UserError(f'--source={source} --target={target}: the ends have to differ')
    return Contrast(noun, column, tuple(ends), (source, target), is_plain=is_plain)


def _index_of(known: Sequence[str], value: int | str) -> int | None:
    """Returns the index of a value by its name or, if no name is a number, by its index."""
    text = str(value).strip()
    if text in known:
        return known.index(text)
    is_index = INDEX.fullmatch(text) and not any(map(str.isdecimal, known))
    return int(text) if is_index and int(text) < len(known) else None


def _checked(
    option: str, value: int | str, index: int | None, known: Sequence[str], what: str
) -> int:
    if index is None:
        choices = listed([*map(escaped, known)], MAX_SHOWN)
        hint = did_you_mean(str(value), known)
        raise UserError(f'--{option}={shortened_text(str(value))}: the {what} are {choices}{hint}')
    return index
