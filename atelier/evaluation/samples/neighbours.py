"""Nearest-neighbour metrics of samples: precision, recall, density, coverage, memorisation."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from atelier.errors import UserError

BLOCK = 2**23  # distances computed at once; affects memory only
Features = Float[np.ndarray, 'n features']
Others = Float[np.ndarray, 'm features']


class OverlapMetrics(NamedTuple):
    """Overlap of samples and real examples; all fields but density lie in [0, 1]."""

    precision: float
    recall: float
    density: float
    coverage: float


def nearest(x: Features, y: Others, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Returns distances and indices [n, k] of each x's k nearest neighbours in y, nearest first.

    Raises:
      UserError: y has fewer than k examples.
    """
    if len(y) < k:
        raise UserError(f'{k} neighbours need {k} examples or more, not {len(y)}: evaluate more')
    distances, indices = [], []
    for d in _blocks(x, y):
        index = np.argpartition(d, k - 1, axis=1)[:, :k]
        smallest = np.take_along_axis(d, index, 1)
        order = np.argsort(smallest, axis=1, kind='stable')
        distances.append(np.take_along_axis(smallest, order, 1))
        indices.append(np.take_along_axis(index, order, 1))
    return np.concatenate(distances), np.concatenate(indices)


def overlap_metrics(real: Features, fake: Others, k: int = 5) -> OverlapMetrics:
    """Returns precision, recall, density and coverage of the fake examples.

    The ball of an example reaches to its k-th nearest neighbour in its own set. precision: fraction
    of fakes inside the ball of some real example. recall: fraction of real examples inside the ball
    of some fake (Kynkaanniemi et al. 2019, equations 1 and 2). density: mean over fakes of the
    number of real balls that contain the fake, divided by k. coverage: fraction of real balls that
    contain some fake (Naeem et al. 2020, equations 3 and 4). For two large sets of equal size from
    one distribution, the expected density is 1 and the expected coverage 1 - 2^-k.

    Raises:
      UserError: a set has k examples or fewer.
    """
    radius_real, radius_fake = _radii(real, k), _radii(fake, k)
    num_balls, first = np.zeros(len(fake), int), 0  # real balls around each fake
    covered, recalled = np.zeros((2, len(real)), bool)
    for d in _blocks(fake, real):  # [some fakes, reals]
        rows = slice(first, first := first + len(d))
        inside = d <= radius_real
        num_balls[rows] = inside.sum(1)
        covered |= inside.any(0)
        recalled |= (d <= radius_fake[rows, None]).any(0)
    return OverlapMetrics(
        precision=float(np.mean(num_balls > 0)),
        recall=float(recalled.mean()),
        density=float(num_balls.mean() / k),
        coverage=float(covered.mean()),
    )


def memorisation_rate(
    to_train: Float[np.ndarray, 'samples'], held_out_to_train: Float[np.ndarray, 'held_out']
) -> float:
    """Returns the fraction of samples that lie suspiciously near a training example.

    Suspicious means nearer than the 1 % quantile of held-out distances. Other held-out data score
    about 0.01; a generator that copies examples scores more. Both arguments are distances to the
    nearest training example: column 0 of those that `nearest` returns.
    """
    return float(np.mean(to_train < np.quantile(held_out_to_train, 0.01)))


def _radii(x: Features, k: int) -> np.ndarray:
    """Returns the distance of each example to its k-th nearest neighbour, itself excluded."""
    if len(x) <= k:
        raise UserError(
            f'{k} neighbours need {k + 1} examples or more, not {len(x)}: evaluate more'
        )
    parts, first = [], 0
    for d in _blocks(x, x):
        d[np.arange(len(d)), first + np.arange(len(d))] = np.inf  # leave the example itself out
        parts.append(np.partition(d, k - 1, axis=1)[:, k - 1])
        first += len(d)
    return np.concatenate(parts)


def _blocks(x: Features, y: Others):
    """Yields the distances [rows, m] of successive blocks of rows of x to all of y."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    squared_y, rows = np.sum(y**2, 1), max(1, BLOCK // max(1, len(y)))
    for first in range(0, len(x), rows):
        part = x[first : first + rows]
        squared = (-2 * part) @ y.T
        squared += squared_y
        squared += np.sum(part**2, 1)[:, None]
        yield np.sqrt(np.maximum(squared, 0, out=squared), out=squared)
