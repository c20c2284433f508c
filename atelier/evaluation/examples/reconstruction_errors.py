"""How far reconstructions are from their examples: half the squared error, or edits of items."""

import numpy as np
from jaxtyping import Int, Real

from atelier.data import items
from atelier.data.spec import Spec
from atelier.evaluation.examples.image_quality import half_squared_error

CHUNK = 1 << 20  # values processed at once; affects memory only
MEANINGS = {  # of the mean of each error
    'half_squared_error': '1/2 squared error',
    'edits': 'edits of an item',
    'is_equal': 'share of equal items',
}


def errors_of(
    x: Real[np.ndarray, 'n *event'], y: Real[np.ndarray, 'n *event'], spec: Spec
) -> dict[str, Real[np.ndarray, 'n']]:
    """Returns the errors of reconstructions y of x, both in the data's units.

    They are half_squared_error, 1/2 ||x - y||^2 on the normalized scale, but of items, whose
    symbols have no distances, edits (see `edits`) and is_equal.
    """
    if not items.are_items(spec):
        return {'half_squared_error': half_squared_error(x, y, spec)}
    number = edits(x, y)
    return {'edits': number, 'is_equal': number == 0}


def edits(x: Real[np.ndarray, 'n length'], y: Real[np.ndarray, 'n length']) -> Int[np.ndarray, 'n']:
    """Returns how many symbols have to be replaced, inserted or deleted to make x of y.

    The edit distance of Levenshtein (1966) between the items of each row, without their ends. Row i
    of its table follows from row i - 1: D[i, j] is the least of D[i - 1, j] + 1, D[i, j - 1] + 1
    and D[i - 1, j - 1], plus 1 if the symbols differ. The second of them is a running minimum of
    D[i, j] - j.
    """
    step = max(1, CHUNK // x.shape[1])
    parts = [slice(first, first + step) for first in range(0, len(x), step)]
    return np.concatenate([_edits(x[part], y[part]) for part in parts] or [np.zeros(0, int)])


def _edits(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    of_x, of_y = items.num_symbols(x), items.num_symbols(y)
    columns = np.arange(y.shape[1] + 1)
    row = np.tile(columns, (len(x), 1))
    result = np.take_along_axis(row, of_y[:, None], 1)[:, 0]  # of empty x
    for i in range(1, int(of_x.max(initial=0)) + 1):
        differs = y != x[:, i - 1 : i]
        first = np.full((len(x), 1), i)
        row = np.concatenate([first, np.minimum(row[:, 1:] + 1, row[:, :-1] + differs)], 1)
        row = np.minimum.accumulate(row - columns, 1) + columns
        at_end = np.take_along_axis(row, of_y[:, None], 1)[:, 0]
        result = np.where(of_x == i, at_end, result)
    return result
