"""Reads what a run recorded about its data."""

import ast

from atelier.errors import UserError, shortened

MARK = ', symbols '


def symbols_of(fingerprint: dict[str, str]) -> str | None:
    """Returns the symbols in a `Dataset.fingerprint`, or None if there are none.

    Raises:
      UserError: the recorded symbols are not two or more distinct characters.
    """
    _, mark, symbols = fingerprint.get('x', '').partition(MARK)
    if not mark:
        return None
    try:
        value = ast.literal_eval(symbols)
    except (ValueError, SyntaxError, MemoryError, RecursionError):  # untrusted text
        value = None
    if not isinstance(value, str) or len({*value}) != len(value) or len(value) < 2:
        raise UserError(f'config.json is damaged: the symbols of its text are {shortened(symbols)}')
    return value
