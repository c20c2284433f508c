"""Codes as bins of their prior: drawn from a stack of bits by a posterior, and put back into it.

A dimension of z has 2^12 bins of the same mass under N(0, 1), so that saying which costs 12 bits
whatever it is: Townsend, Bird and Barber (2019), Practical lossless compression with latent
variables using bits back coding, section 2.5.1.
"""

import bisect
import functools
import math
import statistics
from collections.abc import Callable, Iterator

import constriction
import numpy as np
from jaxtyping import Float, Int

BITS = 12  # of a bin: with a posterior's deviation of 0.01 there are 16 bins in it at the mode
NUM_BINS = 2**BITS
PARTS = 2**22  # of a posterior's mass: few beside the 2^24 to which `constriction` rounds
PRIOR = constriction.stream.model.Uniform(NUM_BINS)

Stack = constriction.stream.stack.AnsCoder
Bins = Int[np.ndarray, 'latent']
Numbers = Float[np.ndarray, 'latent']

_quantile = statistics.NormalDist().inv_cdf
_EDGES = [-math.inf, *(_quantile(i / NUM_BINS) for i in range(1, NUM_BINS)), math.inf]
_MIDDLES = np.array([_quantile((i + 0.5) / NUM_BINS) for i in range(NUM_BINS)], np.float32)
_ANY_PART = constriction.stream.model.Uniform(PARTS)


def values(bins: Bins) -> Float[np.ndarray, 'latent']:
    """The z that stands for each bin, which has as much of the prior's mass below as above it."""
    return _MIDDLES[bins]


def draw(stack: Stack, mean: Numbers, log_var: Numbers) -> tuple[Bins, float]:
    """Takes bits off the stack that make a z of N(mean, exp(log_var)); the inverse of `put_back`.

    22 bits choose one of a posterior's 2^22 parts, and which of its bin's parts that was goes back:
    what is taken is what the bin's mass says, or up to 0.32 bits less where that is most of it all.
    Parts are counted from the bin of the mean on: of an empty stack, whose bits are all 0, that is
    what is drawn.

    Returns:
      The bins, and how many bits were taken.

    Raises:
      ValueError: a mean or a variance is no number.
    """
    found, taken = [], 0.0
    for below, origin in _posteriors(mean, log_var):
        part = (stack.decode(_ANY_PART) + origin) % PARTS
        # the last bin that begins at this part or before it
        number = bisect.bisect_right(range(1, NUM_BINS), part, key=below)
        first, size = below(number), below(number + 1) - below(number)
        if size > 1:
            stack.encode_reverse(part - first, _any_of(size))
        found.append(number)
        taken += math.log2(PARTS / 2**24 * (2**24 // size))
    return np.array(found, np.int32), taken


def put_back(stack: Stack, bins: Bins, mean: Numbers, log_var: Numbers) -> None:
    """Gives the bits back to the stack that `draw` took from it for these bins.

    Raises:
      ValueError: it never draws them, or a mean or a variance is no number.
    """
    drawn = zip(bins.tolist(), _posteriors(mean, log_var), strict=True)
    for number, (below, origin) in reversed([*drawn]):
        first, size = below(number), below(number + 1) - below(number)
        if size < 1:
            raise ValueError('a code that is never drawn')
        part = first + (stack.decode(_any_of(size)) if size > 1 else 0)
        stack.encode_reverse((part - origin) % PARTS, _ANY_PART)


def _posteriors(mean: Numbers, log_var: Numbers) -> Iterator[tuple[Callable[[int], int], int]]:
    """Of each dimension, how many parts lie below a bin, by its number, and below that of the mean.

    Whole numbers from 0 to 2^22. A bin that has no part is never drawn.
    """
    if not (np.isfinite(mean).all() and np.isfinite(log_var).all()):
        raise ValueError('posteriors that are not finite')
    widths = np.sqrt(2) * np.exp(0.5 * np.clip(log_var, -200, 200))  # else a width can be 0
    for middle, width in zip(mean.tolist(), widths.tolist(), strict=True):
        below = functools.partial(_parts_below, middle, width)
        yield below, below(bisect.bisect_right(_EDGES, middle) - 1)


def _parts_below(mean: float, width: float, number: int) -> int:
    return round(PARTS / 2 * math.erfc((mean - _EDGES[number]) / width))


def _any_of(size: int):
    return constriction.stream.model.Uniform(size)
