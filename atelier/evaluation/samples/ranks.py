"""Ranks of true values among samples, and tests of their uniformity (Talts et al. 2018).

If samples given a condition follow the distribution of the true value given it, the rank of the
true value among L samples is uniform on 0, 1, ..., L (theorem 1).
"""

import math

import numpy as np
from jax.scipy.special import gammaincc
from jaxtyping import Float, Int

BAND = 0.99  # probability that a count of uniform ranks is in its band, as in Talts et al.


def counts_of(
    ranks: Int[np.ndarray, 'n dims'], num_samples: int, num_bins: int
) -> Int[np.ndarray, 'dims bins']:
    """Returns the histogram of each dimension's ranks among `num_samples` samples.

    Args:
      ranks: from 0 to `num_samples`.
      num_samples: one less than a multiple of `num_bins`, so that all bins hold as many ranks.
      num_bins: number of bins.
    """
    bins = ranks // ((num_samples + 1) // num_bins)
    return np.stack([np.bincount(each, minlength=num_bins) for each in bins.T])


def band_of(n: int, num_bins: int, probability: float = BAND) -> tuple[int, int]:
    """Returns the quantiles of a bin's count among n uniform ranks: a binomial distribution.

    Example:
      >>> band_of(1000, 20)
      (33, 69)
    """
    k, log_factorial = np.arange(n + 1), np.frompyfunc(math.lgamma, 1, 1)
    log_ways = math.lgamma(n + 1) - log_factorial(k + 1) - log_factorial(n - k + 1)
    share = 1 / num_bins
    log_rest = math.log1p(-share) if num_bins > 1 else -math.inf
    logs = log_ways.astype(float) + k * math.log(share) + (n - k) * log_rest
    cumulative = np.cumsum(np.exp(logs))
    tail = (1 - probability) / 2
    return int(np.searchsorted(cumulative, tail)), int(np.searchsorted(cumulative, 1 - tail))


def p_values(counts: Int[np.ndarray, 'dims bins']) -> Float[np.ndarray, 'dims']:
    """Returns the p-value of Pearson's chi-square test of uniformity, for each dimension.

    Example:
      >>> p_values(np.array([[25, 25, 25, 25], [40, 20, 20, 20]])).round(4).tolist()
      [1.0, 0.0074]
    """
    expected = counts.sum(1, keepdims=True) / counts.shape[1]
    statistic = np.sum(np.square(counts - expected) / expected, axis=1)
    return np.asarray(gammaincc((counts.shape[1] - 1) / 2, statistic / 2), np.float64)


def coverage_of(
    ranks: Int[np.ndarray, 'n dims'], num_samples: int, levels: Float[np.ndarray, 'levels']
) -> Float[np.ndarray, 'levels dims']:
    """Returns the share of true values inside the central interval of each level of the samples.

    A rank r stands for [r, r + 1] / (num_samples + 1), which may be inside in part, so that the
    coverage of uniform ranks is the level.

    Example:
      >>> coverage_of(np.array([[0], [1], [2]]), 2, np.array([0.5])).tolist()  # 1/4, 1, 1/4
      [[0.5]]
    """

    def covered(level: float) -> Float[np.ndarray, 'dims']:
        low, high = np.array([1 - level, 1 + level]) / 2 * (num_samples + 1)
        inside = np.minimum(ranks + 1, high) - np.maximum(ranks, low)
        return np.mean(np.maximum(inside, 0), axis=0)

    return np.stack([covered(level) for level in levels.tolist()])
