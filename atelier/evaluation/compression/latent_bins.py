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

BITS = 12  # bits of a bin's index; a bin at the prior's mode is 0.0006 wide
NUM_BINS = 2**BITS
PARTS = 2**22  # parts of a posterior's mass: few compared with the resolution of `constriction`
PRIOR = constriction.stream.model.Uniform(NUM_BINS)

Stack = constriction.stream.stack.AnsCoder
Bins = Int[np.ndarray, 'latent']
Latents = Float[np.ndarray, 'latent']

_quantile = statistics.NormalDist().inv_cdf
_EDGES = [-math.inf, *(_quantile(i / NUM_BINS) for i in range(1, NUM_BINS)), math.inf]
_MIDDLES = np.array([_quantile((i + 0.5) / NUM_BINS) for i in range(NUM_BINS)], np.float32)
_UNIFORM_PART = constriction.stream.model.Uniform(PARTS)


def values(bins: Bins) -> Float[np.ndarray, 'latent']:
    """Returns the z that represents each bin: the median of the prior within the bin."""
    return _MIDDLES[bins]


def draw(stack: Stack, mean: Latents, log_var: Latents) -> tuple[Bins, float]:
    """Draws the bins of z ~ N(mean, exp(log_var)) with bits of the stack; inverse of `put_back`.

    In each dimension, 22 bits choose one of the 2^22 parts of the posterior's mass, and the index
    of the part within its bin is pushed back. So the draw takes -log2 of the bin's mass in bits
    from the stack, or up to 0.32 bits less if the bin has most of the mass. Parts are counted
    cyclically from the bin of the mean, so an empty stack, whose bits are all 0, yields that bin.

    Returns:
      The bins, and the number of bits taken.

    Raises:
      ValueError: a mean or log variance is not finite.
    """
    bins, bits_taken = [], 0.0
    for below, origin in _posteriors(mean, log_var):
        part = (stack.decode(_UNIFORM_PART) + origin) % PARTS
        # the last bin that begins at or before this part
        index = bisect.bisect_right(range(1, NUM_BINS), part, key=below)
        first, size = below(index), below(index + 1) - below(index)
        if size > 1:
            stack.encode_reverse(part - first, _uniform(size))
        bins.append(index)
        bits_taken += math.log2(PARTS / 2**24 * (2**24 // size))
    return np.array(bins, np.int32), bits_taken


def put_back(stack: Stack, bins: Bins, mean: Latents, log_var: Latents) -> None:
    """Pushes back on the stack the bits that `draw` took from it for these bins.

    Raises:
      ValueError: `draw` cannot draw these bins, or a mean or log variance is not finite.
    """
    drawn = zip(bins.tolist(), _posteriors(mean, log_var), strict=True)
    for index, (below, origin) in reversed([*drawn]):
        first, size = below(index), below(index + 1) - below(index)
        if size < 1:
            raise ValueError('a latent code in a bin that is never drawn')
        part = first + (stack.decode(_uniform(size)) if size > 1 else 0)
        stack.encode_reverse((part - origin) % PARTS, _UNIFORM_PART)


def _posteriors(mean: Latents, log_var: Latents) -> Iterator[tuple[Callable[[int], int], int]]:
    """Yields (below, below(bin of the mean)) per dimension: below(i) counts the parts below bin i.

    Counts are integers from 0 to 2^22. A bin without parts is never drawn.
    """
    if not (np.isfinite(mean).all() and np.isfinite(log_var).all()):
        raise ValueError('the mean or log variance of a posterior is not finite')
    widths = np.sqrt(2) * np.exp(0.5 * np.clip(log_var, -200, 200))  # never 0 or inf
    for centre, width in zip(mean.tolist(), widths.tolist(), strict=True):
        below = functools.partial(_parts_below, centre, width)
        yield below, below(bisect.bisect_right(_EDGES, centre) - 1)


def _parts_below(mean: float, width: float, index: int) -> int:
    return round(PARTS / 2 * math.erfc((mean - _EDGES[index]) / width))


def _uniform(size: int):
    return constriction.stream.model.Uniform(size)
