"""What float32, the type in which networks read real values, can hold."""

import numpy as np

from atelier.errors import UserError

LARGEST = float(np.finfo(np.float32).max)
SMALLEST = float(np.finfo(np.float32).tiny)  # a smaller value may count as 0


def is_scale(std: float) -> bool:
    """Whether float32 holds a standard deviation and its inverse."""
    return bool(SMALLEST <= std <= 1 / SMALLEST)


def check_precision(name: str, mean: float, std: float, largest: float) -> None:
    """Checks that float32 tells values apart that are as large as `largest` and vary by `std`.

    Raises:
      UserError: it rounds them to much of their standard deviation.
    """
    if largest * 2.0**-24 > 1e-2 * std > 0:
        raise UserError(
            f'{name} varies by {std:.3g} around {mean:.3g}, too little for float32: subtract an '
            'offset'
        )
