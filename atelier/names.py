"""Names in data, which may be untrusted: of classes, of columns, of values of a condition."""

import collections
from collections.abc import Sequence

import numpy as np

from atelier.errors import shortened
from atelier.log import counted

MAX_NAME = 200  # characters
MAX_NAMES = 100_000


def are_names(names: object) -> bool:
    """Whether these are distinct names, none of them empty or long; they may be untrusted."""
    return not fault_of_names(names)


def fault_of_names(names: object) -> str:
    """Returns why these are no names, which may be untrusted; '' if they are.

    Names are at most `MAX_NAMES` distinct texts of 1 to `MAX_NAME` characters.
    """
    if not isinstance(names, list | tuple) or not all(isinstance(each, str) for each in names):
        return 'expected an array of texts [names]'
    if len(names) > MAX_NAMES:
        return f'{counted(len(names), "name")}, more than {MAX_NAMES:,}'
    if '' in names:
        return f'name {names.index("")} is empty'
    longest = max(names, key=len, default='')
    if len(longest) > MAX_NAME:
        return f'{shortened(longest)} has {len(longest):,} characters, more than {MAX_NAME}'
    if len({*names}) == len(names):
        return ''
    (repeated, number), *_ = collections.Counter(names).most_common(1)
    return f'{shortened(repeated)} stands there {number} times'


def stored_names(names: Sequence[str]) -> tuple[str, ...]:
    """Returns names as a Spec holds them: encodable, not too long; () if two are equal."""
    encodable = (name.encode(errors='backslashreplace').decode() for name in names)
    stored = tuple(name if len(name) <= MAX_NAME else f'{name[:190]}...' for name in encodable)
    return stored if are_names(stored) else ()


def are_encodable(texts: Sequence[str]) -> bool:
    """Whether files can hold all of these: none has a lone surrogate."""
    return not any(0xD800 <= ord(symbol) < 0xE000 for text in texts for symbol in text)


def texts_in(array: np.ndarray) -> list[str] | None:
    """Returns the texts of an array [n]; None if it holds something else."""
    return array.tolist() if array.dtype.kind == 'U' and array.ndim == 1 else None
