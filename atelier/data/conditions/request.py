"""What numbers and labels share: parts of a request, and columns from which one can learn."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Num

from atelier.core.float32 import LARGEST
from atelier.errors import UserError, shortened
from atelier.log import counted, escaped

FINITE = f'a finite number, of at most {LARGEST:.2g}'


def stripped(parts: Sequence[str], names: Sequence[str]) -> list[str]:
    """Returns the values of a request without blanks around them, one for each name.

    Raises:
      UserError: there are more or fewer.
    """
    parts = [part.strip() for part in parts]
    if len(parts) != len(names):
        raise UserError(
            f'a condition has {counted(len(names), "value")} ({", ".join(map(escaped, names))}), '
            f'but {shortened(",".join(parts))} has {len(parts)}'
        )
    return parts


def check_varies(values: Num[np.ndarray, 'n columns'], names: Sequence[str]) -> None:
    """Checks that each column of the training split has several values.

    Raises:
      UserError: one is constant, so that nothing can be learned from it.
    """
    constant = np.flatnonzero((values == values[:1]).all(0))
    if len(constant):
        name = escaped(names[constant[0]])
        raise UserError(f'condition {name} is constant in the training split: leave it out')


def number_of(text: str, name: str) -> float:
    """Returns the number that a text holds.

    Raises:
      UserError: it holds none, or one that is not finite in float32, in which networks read it.
    """
    try:
        value = float('' if '_' in text else text)  # Python also reads 1_000; tables do not
    except ValueError:
        raise UserError(f'condition {name}={shortened(text)}: give a number') from None
    if not abs(value) <= LARGEST:
        raise UserError(f'condition {name}={shortened(text)}: give {FINITE}')
    return value
