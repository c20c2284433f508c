"""A number of each example: the length of an item, or what a function of the user's returns.

    def rings(item: str) -> float:
        return sum(letter.isdigit() for letter in item) / 2

The function gets an item as text, or x [*event] of other data, in the data's units. It may return
None, or raise a ValueError or a SyntaxError as Python's parsers do, if an example has no such
number. Only the file that is typed is run; no run folder names it.
"""

import pathlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Num

from atelier import checkout, user_files
from atelier.data import items
from atelier.data.spec import Spec
from atelier.data.text import decode
from atelier.errors import UserError, did_you_mean, shortened
from atelier.log import counted, log

LENGTH = 'length'


class Property(NamedTuple):
    """A number of each example.

    name: what figures call it.
    of: x [n, *event] -> [n]; nan for an example that has none.
    """

    name: str
    of: Callable[[Num[np.ndarray, 'n *event']], Float[np.ndarray, 'n']]


def property_of(option: str, value: str, spec: Spec) -> Property:
    """Returns the property that an option names: 'length', or FILE.py:FUNCTION.

    Args:
      option: such as '--by'.
      value: what was typed.
      spec: of the data.

    Raises:
      UserError: it names neither, or the data are no items, which have a length.
    """
    if value == LENGTH:
        if not items.are_items(spec):
            raise UserError(f'{option}={value}: only items, texts that end, have a length')
        return Property('length in symbols', lambda x: items.num_symbols(x).astype(float))
    if ':' not in value:
        hint = did_you_mean(value, [LENGTH])
        raise UserError(f'{option}={value}: give {LENGTH} or FILE.py:FUNCTION{hint}')
    return _of_function(option, value, spec)


def _of_function(option: str, value: str, spec: Spec) -> Property:
    file, name = user_files.file_and_name(value, option)
    if not file.is_file():
        raise UserError(f'{option}={value}: there is no file {file}')
    with checkout.open_for(file):
        module = user_files.load(file)
    function = getattr(module, name, None)
    if not callable(function):
        hint = did_you_mean(name, [each for each, v in vars(module).items() if callable(v)])
        raise UserError(f'{option}={value}: {file.name} has no function {name}{hint}')

    def values(x: np.ndarray) -> np.ndarray:
        examples = decode(x, spec.symbols) if items.are_items(spec) else np.asarray(x)
        return _values(function, examples, file, f'{file.name}:{name}')

    return Property(name, values)


def _values(
    function: Callable[[Any], Any], examples: Iterable[Any], file: pathlib.Path, described: str
) -> Float[np.ndarray, 'n']:
    """Returns the number of each example.

    Raises:
      UserError: the function returns something else.
    """
    values, refused = [], 0
    with checkout.open_for(file):
        for example in examples:
            returned = user_files.answer(function, example, described)
            if returned is user_files.REFUSED:
                refused += 1
                returned = None
            values.append(_number(returned, example, described))
    if refused:
        log.info('%s raised an error for %s', described, counted(refused, 'example'))
    return np.array(values, np.float64)


def _number(returned: Any, example: Any, described: str) -> float:
    if returned is None:
        return np.nan
    if not isinstance(returned, bool | int | float | np.bool_ | np.integer | np.floating):
        raise UserError(
            f'{described} returned {shortened(returned)} for {shortened(example)}: return a number '
            'or None'
        )
    return float(returned)
