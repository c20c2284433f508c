"""Which items are valid, and which are the same: as `config.eval.validity` says.

| value | valid | the same |
|---|---|---|
| '' | not measured | equal strings |
| smiles | RDKit reads the molecule | equal canonical SMILES |
| FILE:FUNCTION | the function returns true | equal strings |
| | or it returns a text, not None | equal texts |

The function is the user's, with one of these types:

    def is_valid(item: str) -> bool:
    def canonical(item: str) -> str | None:

Python's parsers raise a ValueError or a SyntaxError for a text that they cannot read. An item for
which the function raises one is not valid. Any other error is a mistake in the function and is not
caught. A function runs only if the user has typed or trusted it, since a run folder may name any,
also another one of a file that the user has trusted.
"""

import inspect
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from atelier import checkout, files, user_files
from atelier.data.items import are_items
from atelier.errors import UserError, shortened
from atelier.evaluation.samples import smiles
from atelier.evaluation.samples.smiles import SMILES
from atelier.log import counted, log
from atelier.run.experiment import Run

FIELD = 'config.eval.validity'
BY_STRING = 'string'
Form = str | None  # one for all items that are the same; None: the item is not valid


class Validity(NamedTuple):
    """How items are judged and compared.

    forms: the form of each item.
    compared_by: what makes two items the same, in words.
    judge: what decides whether an item is valid, in words; None: nothing does.
    not_measured: why nothing decides it; '' if something does.
    changes_items: whether the form of a valid item may differ from the item.
    passes: whether each valid form passes the filters of the data; None: there are no filters.
    """

    forms: Callable[[Sequence[str]], list[Form]]
    compared_by: str = BY_STRING
    judge: str | None = None
    not_measured: str = ''
    changes_items: bool = False
    passes: Callable[[Sequence[str]], list[bool]] | None = None


def validity_of(run: Run) -> Validity:
    """Returns what `config.eval.validity` names.

    Raises:
      UserError: it names nothing that is known, the function has another type, the user has not
        named its file, or the data are no items.
    """
    value = run.config.eval.get('validity', '')
    if value and not are_items(run.data.spec):
        raise UserError(f'{FIELD}={value}: {run.data.name} has no items, which end: leave it out')
    if value == SMILES:
        return _of_molecules(run)
    if value:
        return of_function(value)
    return Validity(list, not_measured=f'no --{FIELD}=FILE:FUNCTION tells it')


def _of_molecules(run: Run) -> Validity:
    """Returns that of RDKit, or, where it is not installed, of strings."""
    if not smiles.has_rdkit():
        return Validity(
            list, f'{BY_STRING}, not by canonical SMILES', not_measured=smiles.HOW_TO_INSTALL
        )
    name = smiles.rdkit_name()
    return Validity(
        smiles.canonical,
        f'canonical SMILES of {name}',
        name,
        changes_items=True,
        passes=smiles.filters(run.config.data.get('path', '')),
    )


def of_function(value: str) -> Validity:
    """Returns that of a user's function, FILE:FUNCTION.

    Raises:
      UserError: there is no such function, it has another type, or the file is not trusted.
    """
    file, name = user_files.file_and_name(value, FIELD)
    _check_trust(file, value)
    with checkout.open_for(file):
        function = getattr(user_files.load(file), name, None)
        described = f'{file.name}:{name}'
        is_bool = _returns_bool(function, described)
    judge = f'{described}, {files.checksum_of(file)[:8]}'  # of another text, numbers are others
    return Validity(
        lambda items: _forms(items, function, is_bool, file, described),
        BY_STRING if is_bool else f'what {described} returns',
        judge,
        changes_items=not is_bool,
    )


def _check_trust(file: pathlib.Path, value: str) -> None:
    if not file.is_file():
        raise UserError(
            f'{FIELD}={value}: there is no such file: if it has moved, give it as it is now'
        )
    function = user_files.function_path(value, FIELD)
    if function not in checkout.trusted():
        raise UserError(
            f'{FIELD}={value} is code that this command line does not name: if you trust it, add '
            f'--trust={function}; --{FIELD}= (nothing) evaluates without it'
        )


def _returns_bool(function: Any, described: str) -> bool:
    """Whether a function is (str) -> bool, and not (str) -> str | None.

    Raises:
      UserError: it is neither.
    """
    needed = f'{described} has to be a function (item: str) -> bool, or (item: str) -> str | None'
    if function is None:
        raise UserError(f'{FIELD}: there is no {described}: {needed}')
    if not callable(function):
        raise UserError(f'{FIELD}: {needed}; it is a {type(function).__name__}')
    signature = inspect.signature(function, eval_str=True)
    try:
        bound = signature.bind('')
    except TypeError as error:
        raise UserError(f'{FIELD}: {needed}; it takes {signature}') from error
    argument = signature.parameters[next(iter(bound.arguments), '')].annotation
    returns = signature.return_annotation
    if argument not in (str, inspect.Parameter.empty) or returns not in (bool, str, str | None):
        raise UserError(f'{FIELD}: {needed}; its types are {signature}')
    return returns is bool


def _forms(
    items: Sequence[str], function: Callable, is_bool: bool, file: pathlib.Path, described: str
) -> list[Form]:
    """Returns the form of each item; the function is called once for equal items.

    Raises:
      UserError: the function returns a value of another type.
    """
    forms, refused = {}, 0
    with checkout.open_for(file):
        for item in dict.fromkeys(items):
            returned = user_files.answer(function, item, described, 'the item ')
            if returned is user_files.REFUSED:
                refused += 1
                forms[item] = None
            else:
                forms[item] = _form(item, returned, is_bool, described)
    if refused:
        which = counted(refused, 'different item')
        log.info('%s raised an error for %s, which thus are not valid', described, which)
    return [forms[item] for item in items]


def _form(item: str, returned: Any, is_bool: bool, described: str) -> Form:
    right = bool | np.bool_ if is_bool else str | None
    if not isinstance(returned, right):
        raise UserError(
            f'{described} returned {shortened(returned)} for the item {shortened(item)}: its type '
            f'says {"bool" if is_bool else "str | None"}'
        )
    if is_bool:
        return item if returned else None
    return returned
