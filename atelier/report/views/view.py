"""`View`: the pictures of one kind of data."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

DATA = 'data'  # the set of examples beside which samples are shown, drawn in grey
Picture = np.ndarray  # uint8 [height, width, 1 or 3]
Sets = Mapping[str, np.ndarray]  # x [n, *event] by name
Labels = Mapping[str, np.ndarray]  # classes [n], by name of a set
Names = Sequence[str]


class Density(NamedTuple):
    """p(x) of a model on a grid, of data with one or two values per event.

    axes: the grid, ascending numbers along each value of x, in its units.
    p: [m] or, of two values, [m_2, m_1]: rows along the second value.
    kind: what kind of value p is, such as 'exact' or 'lower bound, k = 500'.
    components: {name: array as p}, the terms of which p is the sum, if it is a mixture.
    """

    axes: tuple[np.ndarray, ...]
    p: np.ndarray
    kind: str
    components: Mapping[str, np.ndarray] = {}


class View(NamedTuple):
    """The pictures of one kind of data; events x are in the data's units.

    Titles, names and captions may be untrusted: views escape and shorten them.

    kind: plural noun in messages and tables, such as 'images'.
    events: plural noun of single events in titles: 'images' or 'examples'.
    is_quick: whether drawing takes milliseconds, so that training draws at each validation.
    is_among_data: whether the events of a picture are shown among data; an image is by itself.
    samples: ({name: x [n, *event]}, spec, title, labels=None, density=None) -> picture of each
      named set, in colours by class for sets in `labels`, with the model's density if it is known.
    pairs: (x [n, *event], reconstruction [n, *event], spec, title) -> picture of both.
    rows: (x [rows, columns, *event], spec, title, row names, column names, among=None, across='')
      -> picture in which the events of a row follow each other, such as the steps of an
      interpolation; `among` [n, *event] are data between which they lie, and `across` says what
      the names of columns are, such as 'step'. Paths of points have no such names.
    ranked: (x [n, *event], n captions, spec, title, among=None) -> picture of single examples.
    are_single: whether `rows` shows each event of a row by itself, as images and texts, so that
      examples may stand at its ends; those of others are parts of a path or of a map.
    """

    kind: str
    events: str
    is_quick: bool
    is_among_data: bool
    samples: Callable[..., Picture]
    pairs: Callable[..., Picture]
    rows: Callable[..., Picture]
    ranked: Callable[..., Picture]
    are_single: bool = False
