"""What a run records about its data, and comparisons with it."""

import ast
import re
from collections.abc import Callable

import numpy as np

from atelier.data.checksums import checksum, earlier_checksum, is_large
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


def of_split(
    split: dict[str, np.ndarray], rule: Callable[[np.ndarray, int], int] = checksum
) -> str:
    """Returns what identifies a split: its number of examples, and a checksum of its arrays."""
    total = 0
    for _, array in sorted(split.items()):
        total = rule(array, total)
    return f'{len(split["x"])} examples, checksum {total:08x}'


def like(data, then: dict[str, str] | None, *splits: str) -> dict[str, str]:
    """Returns the fingerprint of a `Dataset`; unchanged data have that of `then`, an earlier one.

    Earlier versions read only some rows of arrays of 256 MiB and more. A split with the checksum of
    that rule is unchanged as far as `then` can tell.
    """
    now = data.fingerprint(*splits)
    for name in now.keys() & data.splits.keys():
        recorded, arrays = (then or {}).get(name), data.splits[name]
        may_agree = recorded not in (None, now[name]) and any(map(is_large, arrays.values()))
        if may_agree and of_split(arrays, earlier_checksum) == recorded:
            now[name] = recorded
    return now


def size_of(fingerprint: dict[str, str], split: str) -> int | None:
    """Returns the size of a split in a `Dataset.fingerprint`, or None if it is not recorded."""
    match = re.match(r'(\d{1,15}) examples, ', fingerprint.get(split, ''), re.ASCII)
    return int(match[1]) if match else None
