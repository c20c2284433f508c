"""`View`: the pictures of one kind of data."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from atelier.data.spec import Spec

DATA = 'data'  # the set of examples beside which samples are shown, drawn in grey
Picture = np.ndarray  # uint8 [height, width, 1 or 3]


class View(NamedTuple):
    """The pictures of one kind of data; events x are in the data's units.

    kind: plural noun in messages and tables, such as 'images'.
    is_quick: whether drawing takes milliseconds, so that training draws at each validation.
    samples: ({name: x [n, *event]}, spec, title) -> picture of each named set.
    pairs: (x [n, *event], reconstruction [n, *event], spec, title) -> picture of both.
    rows: (x [rows, columns, *event], spec, title, row names, column names) -> picture in which the
      events of a row follow each other, such as the steps of an interpolation.
    ranked: (x [n, *event], n captions, spec, title) -> picture of single examples.
    """

    kind: str
    is_quick: bool
    samples: Callable[[Mapping[str, np.ndarray], Spec, str], Picture]
    pairs: Callable[[np.ndarray, np.ndarray, Spec, str], Picture]
    rows: Callable[[np.ndarray, Spec, str, Sequence[str], Sequence[str]], Picture]
    ranked: Callable[[np.ndarray, Sequence[str], Spec, str], Picture]
