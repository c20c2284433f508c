"""Principal component analysis of many vectors."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

BLOCK = 2**24  # values processed at once; affects memory only
MAX_DIMS = 4096  # largest side of a matrix to decompose; this size takes a minute


class PrincipalComponents(NamedTuple):
    """An orthonormal basis centred at the mean, in order of decreasing variance.

    origin: [dims], the mean.
    axes: [components, dims], orthonormal rows.
    shares: [components], fraction of the variance along each axis.
    """

    origin: np.ndarray
    axes: np.ndarray
    shares: np.ndarray

    def rotate(self, rows: Float[np.ndarray, 'n dims']) -> Float[np.ndarray, 'n components']:
        """Returns coordinates along the axes, relative to the mean."""
        return (rows - self.origin) @ self.axes.T

    def rotate_back(self, coordinates: Float[np.ndarray, 'n kept']) -> Float[np.ndarray, 'n dims']:
        """Returns rows with these coordinates along the first axes, and the mean along others."""
        return self.origin + coordinates @ self.axes[: coordinates.shape[1]]


def principal_components(rows: Float[np.ndarray, 'n dims']) -> PrincipalComponents:
    """Returns the principal axes of rows (Pearson 1901), from the covariance or an SVD, in float64.

    There are min(n, dims) components. With more than 4,096 dimensions only the first 4,096 rows are
    used, so there are at most 4,096 components. The sign of an axis is arbitrary: its largest entry
    in magnitude is made positive.
    """
    n, dims = rows.shape
    if dims <= min(n, MAX_DIMS):
        origin, values, axes = _by_covariance(rows)
    else:
        rows = np.asarray(rows[:MAX_DIMS], np.float64)
        origin = rows.mean(0)
        _, spread, axes = np.linalg.svd(rows - origin, full_matrices=False)
        values = spread**2
    largest = np.take_along_axis(axes, np.abs(axes).argmax(1)[:, None], 1)
    return PrincipalComponents(origin, axes * np.sign(largest), values / max(values.sum(), 1e-300))


def _by_covariance(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns (mean, n * variances, axes) without copying all rows."""
    n, dims = rows.shape
    step = max(1, BLOCK // dims)
    origin, scatter = rows.mean(0, dtype=np.float64), np.zeros((dims, dims))
    for first in range(0, n, step):
        part = rows[first : first + step] - origin
        scatter += part.T @ part
    values, vectors = np.linalg.eigh(scatter)
    return origin, np.maximum(values[::-1], 0), vectors.T[::-1]
