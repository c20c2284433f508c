"""Nearest-neighbour metrics of samples: precision, recall, density, coverage, memorisation."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from atelier.errors import UserError

BLOCK = 2**23  # distances computed at once; affects memory only
SLACK = 1e-12  # relative to the squared norms; above round-off, so that equal distances are equal
OPERATIONS = 8  # rounded operations behind the features of two distances that are equal
ROUND_OFF = 1e-6  # relative error of the distances of features that were computed in float32
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

    The distance of equal rows is exactly 0.

    Raises:
      UserError: y has fewer than k examples.
    """
    if len(y) < k:
        raise UserError(f'{k} neighbours need {k} examples or more, not {len(y)}: evaluate more')
    indices = [np.argpartition(d, k - 1, axis=1)[:, :k] for d in _squared(x, y)]
    index = np.concatenate(indices)
    x, y = x.astype(np.float64), y.astype(np.float64)
    # computed again, because the differences of equal rows are exactly 0
    distance = np.stack([np.linalg.norm(x - y[near], axis=1) for near in index.T], 1)
    order = np.lexsort((index, distance), axis=1)
    return np.take_along_axis(distance, order, 1), np.take_along_axis(index, order, 1)


def overlap_metrics(real: Features, fake: Others, k: int = 5) -> OverlapMetrics:
    """Returns precision, recall, density and coverage of the fake examples.

    The ball of an example reaches to its k-th nearest neighbour in its own set. precision: fraction
    of fakes inside the ball of some real example. recall: fraction of real examples inside the ball
    of some fake (Kynkaanniemi et al. 2019, equations 1 and 2). density: mean over fakes of the
    number of real balls that contain the fake, divided by k. coverage: fraction of real balls that
    contain some fake (Naeem et al. 2020, equations 3 and 4). For two large sets of equal size from
    one distribution, the expected density is 1 and the expected coverage 1 - 2^-k. A ball includes
    its border, and round-off does not matter there. So if many distances are equal, as between
    rows of whole numbers, the expected values are larger.

    Raises:
      UserError: a set has k examples or fewer.
    """
    precision = max(_precision(real), _precision(fake))
    radius_real, radius_fake = _radii(real, k, precision), _radii(fake, k, precision)
    num_balls, first = np.zeros(len(fake), int), 0  # real balls around each fake
    covered, recalled = np.zeros((2, len(real)), bool)
    for d in _squared(fake, real, -SLACK):  # [some fakes, reals]
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
) -> float | None:
    """Returns the fraction of samples that lie suspiciously near a training example.

    Suspicious means nearer than the 1 % quantile of held-out distances. Other held-out data score
    about 0.01; a generator that copies examples scores more. Both arguments are distances to the
    nearest training example: column 0 of those that `nearest` returns.

    The rate is None if that quantile is 0: then held-out examples equal training examples as well,
    so an equal sample shows nothing.
    """
    threshold = np.quantile(held_out_to_train, 0.01)
    if threshold <= ROUND_OFF * np.median(held_out_to_train):
        return None
    return float(np.mean(to_train < threshold * (1 - ROUND_OFF)))


def share_of_repeats(x: np.ndarray) -> float:
    """Returns the fraction of examples [n, ...] that equal an earlier one."""
    return 1 - len({hash(row.tobytes()) for row in x}) / len(x)


def _precision(x: Features) -> float:
    """Returns the relative round-off of the features; whole numbers are exact."""
    return float(np.finfo(x.dtype).eps) if np.issubdtype(x.dtype, np.floating) else 0.0


def _radii(x: Features, k: int, precision: float) -> np.ndarray:
    """Returns an upper bound on the squared distance of each example to its k-th nearest neighbour,
    itself excluded; it exceeds the distance by the round-off of features of this `precision`.
    """
    if len(x) <= k:
        raise UserError(
            f'{k} neighbours need {k + 1} examples or more, not {len(x)}: evaluate more'
        )
    parts, first = [], 0
    for d in _squared(x, x, SLACK):
        d[np.arange(len(d)), first + np.arange(len(d))] = np.inf  # leave the example itself out
        parts.append(np.partition(d, k - 1, axis=1)[:, k - 1])
        first += len(d)
    radius = np.sqrt(np.maximum(np.concatenate(parts), 0))
    # a neighbour's norm is at most the sum, and a feature's error a few times the precision
    norm = np.linalg.norm(x.astype(np.float64), axis=1) + radius
    return (radius + OPERATIONS * precision * norm) ** 2


def _squared(x: Features, y: Others, slack: float = 0.0):
    """Yields the squared distances [rows, m] of successive blocks of rows of x to all of y.

    Round-off may make them negative. A `slack` of `SLACK` gives upper bounds, one of -`SLACK` lower
    bounds; they differ by little more than round-off.
    """
    x, y = x.astype(np.float64), y.astype(np.float64)
    of_y, rows = (1 + slack) * np.sum(y**2, 1), max(1, BLOCK // max(1, len(y)))
    for first in range(0, len(x), rows):
        part = x[first : first + rows]
        squared = (-2 * part) @ y.T
        squared += of_y
        squared += (1 + slack) * np.sum(part**2, 1)[:, None]
        yield squared
