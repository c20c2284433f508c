"""Checks of a condition that a user requests."""

import math
from collections.abc import Sequence

from atelier.errors import UserError, shortened
from atelier.log import counted


def check_count(parts: Sequence[str], names: Sequence[str]) -> None:
    """Checks that there is a part for each name.

    Raises:
      UserError: there are more or fewer.
    """
    if len(parts) != len(names):
        raise UserError(
            f'a condition has {counted(len(names), "value")} ({", ".join(names)}), but '
            f'{shortened(",".join(parts))} has {len(parts)}'
        )


def number_of(text: str, name: str) -> float:
    """Returns the number that a text holds.

    Raises:
      UserError: it holds none, or one that is not finite.
    """
    try:
        value = float(text)
    except ValueError:
        raise UserError(f'condition {name}={shortened(text)}: give a number') from None
    if not math.isfinite(value):
        raise UserError(f'condition {name}={shortened(text)}: give a finite number')
    return value
