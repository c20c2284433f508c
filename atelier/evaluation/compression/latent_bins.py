"""Latent codes as bins of the prior: a posterior draws them from a bit stack or puts them back.

A dimension of z has 2^12 bins of equal mass under N(0, 1), so coding any of them costs 12 bits:
Townsend, Bird and Barber (2019), Practical lossless compression with latent variables using bits
back coding, section 2.5.1.
"""

import bisect
import functools
import math
import statistics
from collections.abc import Callable, Iterator

import constriction
import numpy as np
from jaxtyping import Float, Int

BITS = 12  # per bin: a posterior's standard deviation of 0.01 spans 16 bins at the prior's mode
NUM_BINS = 2**BITS
PARTS = 2**22  # of a posterior's mass: few compared with `constriction`'s resolution of 2^24
PRIOR = constriction.stream.model.Uniform(NUM_BINS)

Stack = constriction.stream.stack.AnsCoder
Bins = Int[np.ndarray, 'latent']
Numbers = Float[np.ndarray, 'latent']

_quantile = statistics.NormalDist().inv_cdf
_EDGES = [-math.inf, *(_quantile(i / NUM_BINS) for i in range(1, NUM_BINS)), math.inf]
_MIDDLES = np.array([_quantile((i + 0.5) / NUM_BINS) for i in range(NUM_BINS)], np.float32)
_ANY_PART = constriction.stream.model.Uniform(PARTS)


def values(bins: Bins) -> Float[np.ndarray, 'latent']:
    """Returns the z that represents each bin: the median of the prior within the bin."""
    return _MIDDLES[bins]


def draw(stack: Stack, mean: Numbers, log_var: Numbers) -> tuple[Bins, float]:
    """Draws the bins of z ~ N(mean, exp(log_var)) with bits of the stack; inverse of `put_back`.

    22 bits choose one of a posterior's 2^22 parts; the index of the part within its bin is pushed
    back. The net cost is -log2 of the bin's mass, or up to 0.32 bits less if the bin has most of
    the mass. Parts are counted cyclically from the bin of the mean, so an empty stack, whose bits
    are all 0, yields that bin.

    Returns:
      The bins, and the number of bits taken.

    Raises:
      ValueError: a mean or log variance is not finite.
    """
    found, taken = [], 0.0
    for below, origin in _posteriors(mean, log_var):
        part = (stack.decode(_ANY_PART) + origin) % PARTS
        # the last bin that begins at or before this part
        number = bisect.bisect_right(range(1, NUM_BINS), part, key=below)
        first, size = below(number), below(number + 1) - below(number)
        if size > 1:
            stack.encode_reverse(part - first, _any_of(size))
        found.append(number)
        taken += math.log2(PARTS / 2**24 * (2**24 // size))
    return np.array(found, np.int32), taken


def put_back(stack: Stack, bins: Bins, mean: Numbers, log_var: Numbers) -> None:
    """Pushes the bits back on the stack that `draw` took from it for these bins.

    Raises:
      ValueError: `draw` cannot draw these bins, or a mean or log variance is not finite.
    """
    drawn = zip(bins.tolist(), _posteriors(mean, log_var), strict=True)
    for number, (below, origin) in reversed([*drawn]):
        first, size = below(number), below(number + 1) - below(number)
        if size < 1:
            raise ValueError('a code that is never drawn')
        part = first + (stack.decode(_any_of(size)) if size > 1 else 0)
        stack.encode_reverse((part - origin) % PARTS, _ANY_PART)


def _posteriors(mean: Numbers, log_var: Numbers) -> Iterator[tuple[Callable[[int], int], int]]:
    """Yields (below, below(bin of the mean)) per dimension: below(i) counts the parts below bin i.

    Counts are integers from 0 to 2^22. A bin without parts is never drawn.
    """
    if not (np.isfinite(mean).all() and np.isfinite(log_var).all()):
        raise ValueError('posteriors that are not finite')
    widths = np.sqrt(2) * np.exp(0.5 * np.clip(log_var, -200, 200))  # or a width could be 0
    for middle, width in zip(mean.tolist(), widths.tolist(), strict=True):
        below = functools.partial(_parts_below, middle, width)
        yield below, below(bisect.bisect_right(_EDGES, middle) - 1)


def _parts_below(mean: float, width: float, number: int) -> int:
    return round(PARTS / 2 * math.erfc((mean - _EDGES[number]) / width))


def _any_of(size: int):
    return constriction.stream.model.Uniform(size)
