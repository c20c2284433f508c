"""Modes of a density in the plane, for measures of sample quality."""

from typing import NamedTuple

import numpy as np


class Modes(NamedTuple):
    """Equally likely regions of the plane that hold all or nearly all of a density's mass.

    centres: [modes, 2].
    radius: radius of a region, in the norm of `order`.
    order: order of the norm: 2, or inf, whose balls are squares.
    """

    centres: np.ndarray
    radius: float
    order: float
