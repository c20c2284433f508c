"""AUROC: how well a score ranks one kind of example above another."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Auroc(NamedTuple):
    """Area under the receiver operating characteristic, and its standard error.

    value: 1/2 at chance, 1 if every positive example scores above every negative one.
    standard_error: None if either kind has only one example.
    """

    value: float
    standard_error: float | None


def auroc(positive: Float[np.ndarray, 'm'], negative: Float[np.ndarray, 'n']) -> Auroc:
    """Returns the probability that a positive example outscores a negative one; ties count half.

    This is the statistic of Mann and Whitney (1947) divided by m n, computed from midranks. The
    standard error is that of DeLong et al. (1988). Take, for each example, the fraction of examples
    of the other kind against which it is ranked correctly; the standard error follows from the
    variance of these fractions within each kind.

    Raises:
      ValueError: a kind is empty, or a score is NaN.
    """
    m, n = len(positive), len(negative)
    scores = np.concatenate([positive, negative])
    if not m or not n or np.isnan(scores).any():
        raise ValueError(
            f'AUROC needs scores of both kinds and no NaN: there are {m} and {n} scores, '
            f'{np.isnan(scores).sum()} of them NaN'
        )
    ranks = midranks(scores)
    below = (ranks[:m] - midranks(np.asarray(positive))) / n  # negatives below each positive
    above = 1 - (ranks[m:] - midranks(np.asarray(negative))) / m
    error = None
    if min(m, n) > 1:
        error = math.sqrt(below.var(ddof=1) / m + above.var(ddof=1) / n)
    return Auroc(float(below.mean()), error)


def midranks(scores: Float[np.ndarray, 'n']) -> Float[np.ndarray, 'n']:
    """Returns the ranks 1 to n in ascending order; equal scores share the mean of their ranks."""
    _, group, counts = np.unique(scores, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[group]
