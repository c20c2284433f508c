"""Probabilities as whole numbers, which is what a range coder codes by."""

import constriction
import numpy as np
from jaxtyping import Float, Int

TOTAL = 2**24  # of the frequencies of all levels; `constriction` codes in so many parts

LogProbs = Float[np.ndarray, 'n levels']
Frequencies = Int[np.ndarray, 'n levels']


def frequencies(log_probs: LogProbs) -> Frequencies:
    """Whole numbers of the sum 2^24 for the levels of n numbers, each at least 1.

    One part of the total goes to every level, so that none is impossible, and the rest by
    probability, rounded down; what is left over goes to the likeliest level. So a level costs at
    most log2(1 / (1 - levels / 2^24)) bits more than its probability says, or 24 where that is less
    likely, and likelier levels have no smaller frequencies. In float64 on the host: the same
    log_probs give the same frequencies.

    Args:
      log_probs: nats; -inf for a level that cannot be.

    Raises:
      ValueError: a row has no probability, or what is no number.
    """
    each = np.asarray(log_probs, np.float64)
    most = each.max(1, keepdims=True)
    if not np.isfinite(most).all():  # of NaN the largest is NaN
        raise ValueError('log probabilities that are not finite')
    shares = np.exp(each - most)
    rest = TOTAL - each.shape[1]
    parts = np.floor(rest * (shares / shares.sum(1, keepdims=True))).astype(np.int64)
    likeliest = each.argmax(1)
    parts[np.arange(len(parts)), likeliest] += rest - parts.sum(1)
    return parts + 1


def bits(table: Frequencies, numbers: Int[np.ndarray, 'n']) -> Float[np.ndarray, 'n']:
    """What coding these levels by these frequencies costs."""
    return np.log2(TOTAL / table[np.arange(len(table)), numbers])


def as_model(table: Frequencies) -> tuple:
    """The arguments by which `constriction` codes numbers of these frequencies, a row for each.

    It adds 1 to every level itself, after scaling to 2^24 - levels: here by 1, so that none of them
    is rounded.
    """
    return constriction.stream.model.Categorical(perfect=False), (table - 1).astype(np.float64)
