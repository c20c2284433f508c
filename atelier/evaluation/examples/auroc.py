"""How well a score puts one kind of example above another."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Auroc(NamedTuple):
    """Area under the receiver operating characteristic, and its standard error.

    value: 1/2 is chance, 1 every positive example above every negative one.
    standard_error: None where either kind has one example alone.
    """

    value: float
    standard_error: float | None


def auroc(positive: Float[np.ndarray, 'm'], negative: Float[np.ndarray, 'n']) -> Auroc:
    """The chance that a positive example scores above a negative one, ties counted half.

    That is Mann and Whitney's (1947) statistic over m n, from ranks of which ties share the mean.
    The standard error is that of DeLong et al. (1988): from the variance, over the examples of
    either kind, of the share of the other kind that each one is beyond.

    Raises:
      ValueError: a kind is empty, or a score is no number.
    """
    m, n = len(positive), len(negative)
    scores = np.concatenate([positive, negative])
    if not m or not n or np.isnan(scores).any():
        raise ValueError(f'AUROC of {m} and {n} scores, {np.isnan(scores).sum()} of them nan')
    ranks = midranks(scores)
    below = (ranks[:m] - midranks(np.asarray(positive))) / n  # negative ones below each positive
    above = 1 - (ranks[m:] - midranks(np.asarray(negative))) / m
    error = None
    if min(m, n) > 1:
        error = math.sqrt(below.var(ddof=1) / m + above.var(ddof=1) / n)
    return Auroc(float(below.mean()), error)


def midranks(scores: Float[np.ndarray, 'n']) -> Float[np.ndarray, 'n']:
    """1 for the smallest, ..., n; equal scores share the mean of their ranks."""
    _, group, counts = np.unique(scores, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[group]
