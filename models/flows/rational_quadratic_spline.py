"""Monotone rational-quadratic splines: Durkan et al. (2019), Neural Spline Flows, section 3.1.

A spline passes through increasing knots (x_k, y_k) with slopes d_k; outside [-bound, bound] it is
the identity ("linear tails"). Pure functions of arrays.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

LEAST_SIZE = 1e-3  # of a bin, as a fraction of the whole interval
LEAST_SLOPE = 1e-3
Numbers = Float[Array, '*numbers']


class Knots(NamedTuple):
    """The knots of one spline per input: bins + 1 of them along the last axis.

    x and y increase from -bound to bound; slopes are positive, and 1 at both ends.
    """

    x: Float[Array, '*numbers knots']
    y: Float[Array, '*numbers knots']
    slope: Float[Array, '*numbers knots']


def num_parameters(bins: int) -> int:
    """Returns the parameters of a spline: width and height of each bin, and the inner slopes."""
    return 3 * bins - 1


def knots_of(raw: Float[Array, '*numbers parameters'], bins: int, bound: float) -> Knots:
    """Returns the knots for unconstrained parameters; zeros give the identity.

    Raises:
      ValueError: there are not `num_parameters(bins)` of them.
    """
    if raw.shape[-1] != num_parameters(bins):
        raise ValueError(f'{raw.shape[-1]} parameters of {bins} bins')
    widths, heights, slopes = jnp.split(raw, [bins, 2 * bins], -1)
    start = math.log(math.expm1(1 - LEAST_SLOPE))  # a zero then gives the slope 1
    slopes = LEAST_SLOPE + jax.nn.softplus(slopes + start)
    ends = [(0, 0)] * (raw.ndim - 1) + [(1, 1)]
    slopes = jnp.pad(slopes, ends, constant_values=1)
    return Knots(_places(widths, bound), _places(heights, bound), slopes)


def _places(raw: Float[Array, '*numbers bins'], bound: float) -> Float[Array, '*numbers knots']:
    bins = raw.shape[-1]
    shares = LEAST_SIZE + (1 - LEAST_SIZE * bins) * jax.nn.softmax(raw)
    inner = 2 * bound * jnp.cumsum(shares, -1)[..., :-1] - bound
    end = jnp.full((*raw.shape[:-1], 1), bound, raw.dtype)
    return jnp.concatenate([-end, inner, end], -1)


def forward(x: Numbers, knots: Knots) -> tuple[Numbers, Numbers]:
    """Returns (y, log dy/dx): equations 4 and 5 of the paper.

    Example:
      >>> x, y, slope = jnp.asarray([[-1.0, 0.0, 1.0], [-1.0, 0.5, 1.0], [1.0, 2.0, 1.0]])[:, None]
      >>> y_0, log_slope = forward(jnp.zeros(1), Knots(x, y, slope))  # the inner knot; log 2
      >>> y_0.item(), round(log_slope.item(), 3)
      (0.5, 0.693)
    """
    inside, bin = _bin_of(x, knots, knots.x)
    at = (inside - bin.x) / bin.width
    y = bin.y + bin.height * _rise(bin, at) / _under(bin, at)
    return _with_tails(x, knots, y, _log_slope(bin, at))


def inverse(y: Numbers, knots: Knots) -> tuple[Numbers, Numbers]:
    """Returns (x, log dx/dy): equations 6 to 8, by the root without cancellation.

    Example:
      >>> x, y, slope = jnp.asarray([[-1.0, 0.0, 1.0], [-1.0, 0.5, 1.0], [1.0, 2.0, 1.0]])[:, None]
      >>> x_0, log_slope = inverse(jnp.full(1, 0.5), Knots(x, y, slope))  # the inner knot; -log 2
      >>> x_0.item(), round(log_slope.item(), 3)
      (0.0, -0.693)
    """
    inside, bin = _bin_of(y, knots, knots.y)
    up, steepness = inside - bin.y, bin.before + bin.after - 2 * bin.mean
    a = bin.height * (bin.mean - bin.before) + up * steepness
    b = bin.height * bin.before - up * steepness
    c = -bin.mean * up
    root = jnp.sqrt(jnp.maximum(jnp.square(b) - 4 * a * c, 0.0))
    at = jnp.clip(2 * c / (-b - root), 0.0, 1.0)
    return _with_tails(y, knots, bin.x + at * bin.width, -_log_slope(bin, at))


class _Bin(NamedTuple):
    """The bin of each input: its lower corner, its size, and its slopes."""

    x: Numbers
    y: Numbers
    width: Numbers
    height: Numbers
    before: Numbers  # the slope at its left knot
    after: Numbers
    mean: Numbers  # height / width


def _bin_of(
    value: Numbers, knots: Knots, places: Float[Array, '*numbers knots']
) -> tuple[Numbers, _Bin]:
    """Returns (the value clipped to the knots, its bin among `places`)."""
    inside = jnp.clip(value, places[..., 0], places[..., -1])
    is_behind = inside[..., None] >= places[..., 1:-1]  # no gather: its derivative is slow on a CPU
    one = jnp.ones_like(is_behind[..., :1])
    begins, ends = (
        jnp.concatenate([one, is_behind], -1),
        jnp.concatenate([is_behind, ~one], -1),
    )
    own = begins & ~ends
    pick = lambda numbers: jnp.sum(jnp.where(own, numbers, 0), -1)
    x, y = pick(knots.x[..., :-1]), pick(knots.y[..., :-1])
    width, height = pick(jnp.diff(knots.x)), pick(jnp.diff(knots.y))
    before, after = pick(knots.slope[..., :-1]), pick(knots.slope[..., 1:])
    return inside, _Bin(x, y, width, height, before, after, height / width)


def _rise(bin: _Bin, at: Numbers) -> Numbers:
    return bin.mean * jnp.square(at) + bin.before * at * (1 - at)


def _under(bin: _Bin, at: Numbers) -> Numbers:
    return bin.mean + (bin.before + bin.after - 2 * bin.mean) * at * (1 - at)


def _log_slope(bin: _Bin, at: Numbers) -> Numbers:
    rest = 1 - at
    above = bin.after * jnp.square(at) + 2 * bin.mean * at * rest + bin.before * jnp.square(rest)
    return 2 * jnp.log(bin.mean) + jnp.log(above) - 2 * jnp.log(_under(bin, at))


def _with_tails(
    value: Numbers, knots: Knots, made: Numbers, log_slope: Numbers
) -> tuple[Numbers, Numbers]:
    """Applies the identity outside the bound."""
    is_inside = (value > knots.x[..., 0]) & (value < knots.x[..., -1])
    return jnp.where(is_inside, made, value), jnp.where(is_inside, log_slope, 0.0)
