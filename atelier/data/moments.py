"""Mean and standard deviation of real-valued data."""

import numpy as np

from atelier.data.large_arrays import SMALL, pieces


def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and standard deviation per column of a table, otherwise over all values.

    Both are in float64. Large arrays are read in pieces, which needs no copy of them.
    """
    columns = x if x.ndim == 2 else x.reshape(-1, 1)
    # the std of a constant is not exactly 0, because its mean is rounded
    is_constant = columns.min(0) == columns.max(0)
    if x.nbytes <= SMALL:
        mean, std = columns.mean(0, np.float64), columns.std(0, np.float64)
    else:
        mean = sum(piece.sum(0, np.float64) for piece in pieces(columns)) / len(columns)
        squares = (np.square(piece - mean).sum(0) for piece in pieces(columns))
        std = np.sqrt(sum(squares) / len(columns))
    return mean, np.where(is_constant, 0.0, std)
