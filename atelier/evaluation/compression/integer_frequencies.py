"""Integer frequencies from log probabilities, as entropy coders need them."""

import constriction
import numpy as np
from jaxtyping import Float, Int

TOTAL = 2**24  # sum of the frequencies of all levels, which is the resolution of `constriction`

LogProbs = Float[np.ndarray, 'n levels']
Frequencies = Int[np.ndarray, 'n levels']


def frequencies(log_probs: LogProbs) -> Frequencies:
    """Returns positive integer frequencies of the levels of n values; each row sums to 2^24.

    Every level gets 1, so that none is impossible. The rest of the sum is divided in proportion to
    the probabilities and rounded down; what rounding leaves over goes to the most probable level.
    So a level costs at most log2(1 / (1 - levels / 2^24)) bits more than -log2 of its probability,
    and never more than 24 bits. A more probable level never has a smaller frequency. Frequencies
    are computed in float64 on the host, so that the same log_probs give the same frequencies.

    Args:
      log_probs: nats; -inf for an impossible level.

    Raises:
      ValueError: a row has only impossible levels, or a log probability that is NaN or +inf.
    """
    log_probs = np.asarray(log_probs, np.float64)
    highest = log_probs.max(1, keepdims=True)
    if not np.isfinite(highest).all():  # the maximum of a row with NaN is NaN
        raise ValueError('log probabilities are not finite')
    shares = np.exp(log_probs - highest)
    rest = TOTAL - log_probs.shape[1]
    counts = np.floor(rest * (shares / shares.sum(1, keepdims=True))).astype(np.int64)
    most_probable = log_probs.argmax(1)
    counts[np.arange(len(counts)), most_probable] += rest - counts.sum(1)
    return counts + 1


def bits(table: Frequencies, levels: Int[np.ndarray, 'n']) -> Float[np.ndarray, 'n']:
    """Returns the cost in bits of coding these levels with these frequencies."""
    return np.log2(TOTAL / table[np.arange(len(table)), levels])


def as_model(table: Frequencies) -> tuple:
    """Returns the arguments with which `constriction` codes values, one row of frequencies each.

    `constriction` scales a row to the sum 2^24 - levels and then adds 1 to every level. A row of
    table - 1 has this sum already, so nothing is rounded.
    """
    return constriction.stream.model.Categorical(perfect=False), (table - 1).astype(np.float64)
