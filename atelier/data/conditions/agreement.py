"""Whether x has what its condition asks for, of data of which this can be computed."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Real


class Agreement(NamedTuple):
    """How far n examples agree with their conditions.

    facts: by name, 1 where x has what the condition asks for, 0 where it has not, and nan where
      the condition asks for nothing of this kind.
    groups: by name, the examples of a group, over which facts are averaged, too.
    """

    facts: dict[str, Float[np.ndarray, 'n']]
    groups: dict[str, Bool[np.ndarray, 'n']]


# (x in stored levels, the condition of each x as a line of text) -> agreement
Agree = Callable[[Real[np.ndarray, 'n *event'], Sequence[str]], Agreement]
