"""Distances between two sets of features: Frechet distance of fitted Gaussians, kernel MMD.

Values are comparable within one feature function only. They are not FID or KID, which use Inception
features.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from atelier.errors import UserError

Features = Float[np.ndarray, 'n features']
Others = Float[np.ndarray, 'm features']


class Estimate(NamedTuple):
    """An estimate and its standard error."""

    mean: float
    standard_error: float


def frechet_distance(x: Features, y: Others) -> float:
    """Returns the distance of Gaussians fitted to the two sets, in squared feature units.

        ||mean_x - mean_y||^2 + tr(C_x + C_y - 2 (C_x C_y)^(1/2))

    Dowson and Landau (1982); for features of samples, Heusel et al. (2017), equation 6. Finite sets
    bias the distance upwards, so compare distances only between sets of equal size, and compare
    them with the distance between two real sets.

    Raises:
      UserError: a set has fewer than two examples.
    """
    (mean_x, root_x, total_x), (mean_y, root_y, total_y) = _moments(x), _moments(y)
    # tr (C_x C_y)^(1/2) is the sum of the singular values of C_x^(1/2) C_y^(1/2). This avoids the
    # square root of a product that is not symmetric.
    overlap = np.linalg.svd(root_x @ root_y, compute_uv=False).sum()
    distance = np.sum((mean_x - mean_y) ** 2) + total_x + total_y - 2 * overlap
    return max(0.0, float(distance))  # rounding may make it negative


def _moments(x: Features) -> tuple[np.ndarray, np.ndarray, float]:
    """Returns the mean, the square root of the covariance, and the trace of the covariance."""
    if len(x) < 2:
        raise UserError(f'a covariance needs at least 2 examples, not {len(x)}: evaluate more')
    x = x.astype(np.float64)
    covariance = np.atleast_2d(np.cov(x, rowvar=False))
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return x.mean(0), root, float(np.trace(covariance))


def kernel_distance(x: Features, y: Others, block: int = 1000) -> Estimate:
    """Returns the squared MMD with kernel (a.b / d + 1)^3, unbiased and so possibly negative.

    Gretton et al. (2012), equation 3, averaged over pairs of disjoint blocks of at most `block`
    examples, with the kernel of Binkowski et al. (2018). The standard error is that of the mean
    over blocks or, for a single block, the jackknife estimate over its pairs of examples (Efron
    1982).

    Raises:
      UserError: a set has fewer than three examples.
    """
    n = min(len(x), len(y))
    if n < 3:
        raise UserError(f'a kernel distance needs at least 3 examples, not {n}: evaluate more')
    count = -(-n // block)
    pairs = zip(np.array_split(x[:n], count), np.array_split(y[:n], count), strict=True)
    sums = [_KernelSums.of(a.astype(np.float64), b.astype(np.float64)) for a, b in pairs]
    values = [total.mmd_squared() for total in sums]
    error = np.std(values, ddof=1) / np.sqrt(count) if count > 1 else sums[0].jackknife_error()
    return Estimate(float(np.mean(values)), float(error))


class _KernelSums(NamedTuple):
    """Sums of kernel values of x and y, both [n, features]; each field is [n]."""

    x: np.ndarray  # of each x_i with all other x
    y: np.ndarray  # of each y_i with all other y
    rows: np.ndarray  # of each x_i with all y
    columns: np.ndarray  # of each y_i with all x
    diagonal: np.ndarray  # of x_i with y_i

    @classmethod
    def of(cls, x: Features, y: Features) -> '_KernelSums':
        kernel = lambda a, b: (a @ b.T / a.shape[1] + 1) ** 3
        of_x, of_y, across = kernel(x, x), kernel(y, y), kernel(x, y)
        np.fill_diagonal(of_x, 0)
        np.fill_diagonal(of_y, 0)
        return cls(of_x.sum(1), of_y.sum(1), across.sum(1), across.sum(0), np.diag(across))

    def mmd_squared(self) -> float:
        n = len(self.x)
        return (self.x.sum() + self.y.sum()) / (n * (n - 1)) - 2 * self.rows.sum() / n**2

    def jackknife_error(self) -> float:
        """Returns the standard error from the n estimates that leave out one pair (x_i, y_i)."""
        n = len(self.x)
        within = self.x.sum() + self.y.sum() - 2 * (self.x + self.y)
        across = self.rows.sum() - self.rows - self.columns + self.diagonal
        without = within / ((n - 1) * (n - 2)) - 2 * across / (n - 1) ** 2
        return float(np.sqrt((n - 1) * np.var(without)))
