"""Modes of a density in the plane, as sample quality counts them."""

from typing import NamedTuple

import numpy as np


class Modes(NamedTuple):
    """Parts of the plane that hold all of a density, or nearly all; equally likely.

    centres: [modes, 2].
    radius: of a part, in the norm of this `order`: inf, whose balls are squares, or 2.
    """

    centres: np.ndarray
    radius: float
    order: float
