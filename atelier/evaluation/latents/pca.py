"""Principal components of many rows of numbers."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

BLOCK = 2**24  # numbers at once; memory only
MOST = 4096  # side of a matrix that is taken apart: a minute


class Components(NamedTuple):
    """An orthonormal basis through the mean of rows, by falling variance.

    origin: [dims], the mean.
    axes: [components, dims], orthonormal rows.
    shares: [components] of the variance along each.
    """

    origin: np.ndarray
    axes: np.ndarray
    shares: np.ndarray

    def rotate(self, rows: Float[np.ndarray, 'n dims']) -> Float[np.ndarray, 'n components']:
        """Coordinates along the axes, from the mean."""
        return (rows - self.origin) @ self.axes.T

    def rotate_back(self, coordinates: Float[np.ndarray, 'n kept']) -> Float[np.ndarray, 'n dims']:
        """Rows with these coordinates along the first axes, and the mean along all others."""
        return self.origin + coordinates @ self.axes[: coordinates.shape[1]]


def principal_components(rows: Float[np.ndarray, 'n dims']) -> Components:
    """The basis in which rows vary most (Pearson 1901), by their covariance or their SVD; float64.

    There are min(n, dims) components. Of more than 4,096 dimensions they are those of the first
    4,096 rows. The largest entry of an axis is positive: the sign is open.
    """
    n, dims = rows.shape
    if dims <= min(n, MOST):
        origin, values, axes = _by_covariance(rows)
    else:
        rows = np.asarray(rows[:MOST], np.float64)
        origin = rows.mean(0)
        _, spread, axes = np.linalg.svd(rows - origin, full_matrices=False)
        values = spread**2
    largest = np.take_along_axis(axes, np.abs(axes).argmax(1)[:, None], 1)
    return Components(origin, axes * np.sign(largest), values / max(values.sum(), 1e-300))


def _by_covariance(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(mean, n variances, axes) without a copy of all rows."""
    n, dims = rows.shape
    step = max(1, BLOCK // dims)
    origin, scatter = rows.mean(0, dtype=np.float64), np.zeros((dims, dims))
    for first in range(0, n, step):
        part = rows[first : first + step] - origin
        scatter += part.T @ part
    values, vectors = np.linalg.eigh(scatter)
    return origin, np.maximum(values[::-1], 0), vectors.T[::-1]
