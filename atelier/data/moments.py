"""Mean and standard deviation of real-valued data."""

import numpy as np

from atelier.data.large_arrays import SMALL, pieces
from atelier.data.spec import Spec


def moments(x: np.ndarray, deviation: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and standard deviation per column of a table, otherwise over all values.

    Both are in float64. Large arrays are read in pieces, which needs no copy of them. With
    `deviation`, of the shape of x, they are those of x plus noise of this standard deviation.
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
    std = np.where(is_constant, 0.0, std)
    if deviation is None:
        return mean, std
    squares = (np.square(p, dtype=np.float64) for p in pieces(deviation.reshape(columns.shape)))
    return mean, np.sqrt(std**2 + sum(each.sum(0) for each in squares) / len(columns))


def with_moments(spec: Spec, x: np.ndarray, deviation: np.ndarray | None = None) -> Spec:
    """Returns `spec` with mean and std of real-valued training x [n, *event]; std 1 if constant.

    `deviation` [n, *event] is that of the noise that preprocessing adds to x.
    """
    mean, std = moments(x, deviation)
    plain = (lambda a: tuple(a.tolist())) if x.ndim == 2 else np.ndarray.item
    return spec._replace(mean=plain(mean), std=plain(np.where(std > 0, std, 1.0)))
