"""The parts of a `Dataset.fingerprint`, which a run records about its data."""

import ast
import re

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


def of_split(size: int, checksum: int) -> str:
    """Returns the fingerprint of one split."""
    return f'{size} examples, checksum {checksum:08x}'


def size_of(fingerprint: dict[str, str], split: str) -> int | None:
    """Returns the size of a split in a `Dataset.fingerprint`, or None if it is not recorded."""
    match = re.match(r'(\d{1,15}) examples, ', fingerprint.get(split, ''), re.ASCII)
    return int(match[1]) if match else None
