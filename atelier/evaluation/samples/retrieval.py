"""Retrieval: whether a sample is nearest to the picture whose caption it was given."""

import numpy as np
from jaxtyping import Float, Int

from atelier.evaluation.samples.item_quality import Share, share

AMONG = 100


def retrieval_share(
    fake: Float[np.ndarray, 'n *event'],
    real: Float[np.ndarray, 'n *event'],
    condition: Int[np.ndarray, 'n columns'],
) -> Share:
    """Returns the share of samples whose nearest real example has their condition.

    Sample i was given the condition of real example i, and is compared with `AMONG` real examples:
    this one and those beside it. Chance is 1 in `AMONG` if all conditions differ. Distances are
    Euclidean.

    Args:
      fake: samples, normalized.
      real: examples, normalized.
      condition: of both.
    """
    size = min(AMONG, len(fake))
    starts = range(0, len(fake) - size + 1, size)
    right = [_are_right(fake, real, condition, slice(i, i + size)) for i in starts]
    return share(int(np.sum(right)), size * len(starts))


def _are_right(
    fake: np.ndarray, real: np.ndarray, condition: np.ndarray, rows: slice
) -> list[bool]:
    flat_fake, flat_real = (x[rows].reshape(len(x[rows]), -1) for x in (fake, real))
    # |fake - real|^2 without |fake|^2, which is the same for all real examples
    distances = np.sum(flat_real**2, 1) - 2 * flat_fake @ flat_real.T
    own = condition[rows]
    return (own[distances.argmin(1)] == own).all(1).tolist()
