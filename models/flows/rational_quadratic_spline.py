"""Monotone rational-quadratic splines: Durkan et al. (2019), Neural Spline Flows, section 3.1.

A spline passes through increasing knots (x_k, y_k) with slopes d_k. Outside [-bound, bound] it is
the identity ("linear tails"). All functions are pure functions of arrays.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

MIN_SIZE = 1e-3  # smallest width or height of a bin, as a fraction of the whole interval
MIN_SLOPE = 1e-3
Values = Float[Array, '*values']


class Knots(NamedTuple):
    """The knots of one spline per input; the last axis has bins + 1 knots.

    x and y increase from -bound to bound; slopes are positive, and 1 at both ends.
    """

    x: Float[Array, '*values knots']
    y: Float[Array, '*values knots']
    slope: Float[Array, '*values knots']


def num_parameters(bins: int) -> int:
    """Returns the number of parameters: a width and a height per bin, and the inner slopes."""
    return 3 * bins - 1


def knots_of(raw: Float[Array, '*values parameters'], bins: int, bound: float) -> Knots:
    """Returns the knots for unconstrained parameters; zeros give the identity.

    Raises:
      ValueError: the last axis of `raw` does not have `num_parameters(bins)` entries.
    """
    if raw.shape[-1] != num_parameters(bins):
        raise ValueError(
            f'{raw.shape[-1]} parameters do not fit {bins} bins, which need {num_parameters(bins)}'
        )
    widths, heights, slopes = jnp.split(raw, [bins, 2 * bins], -1)
    start = math.log(math.expm1(1 - MIN_SLOPE))  # a zero parameter then gives the slope 1
    slopes = MIN_SLOPE + jax.nn.softplus(slopes + start)
    ends = [(0, 0)] * (raw.ndim - 1) + [(1, 1)]
    slopes = jnp.pad(slopes, ends, constant_values=1)
    return Knots(_knot_positions(widths, bound), _knot_positions(heights, bound), slopes)


def _knot_positions(
    raw: Float[Array, '*values bins'], bound: float
) -> Float[Array, '*values knots']:
    bins = raw.shape[-1]
    shares = MIN_SIZE + (1 - MIN_SIZE * bins) * jax.nn.softmax(raw)
    inner = 2 * bound * jnp.cumsum(shares, -1)[..., :-1] - bound
    end = jnp.full((*raw.shape[:-1], 1), bound, raw.dtype)
    return jnp.concatenate([-end, inner, end], -1)


def forward(x: Values, knots: Knots) -> tuple[Values, Values]:
    """Returns (y, log dy/dx): equations 4 and 5 of the paper.

    Example:
      >>> x, y, slope = jnp.asarray([[-1.0, 0.0, 1.0], [-1.0, 0.5, 1.0], [1.0, 2.0, 1.0]])[:, None]
      >>> y_0, log_slope = forward(jnp.zeros(1), Knots(x, y, slope))  # the inner knot; log 2
      >>> y_0.item(), round(log_slope.item(), 3)
      (0.5, 0.693)
    """
    clipped, bin = _bin_of(x, knots, knots.x)
    xi = (clipped - bin.x) / bin.width
    y = bin.y + bin.height * _numerator(bin, xi) / _denominator(bin, xi)
    return _with_tails(x, knots, y, _log_slope(bin, xi))


def inverse(y: Values, knots: Knots) -> tuple[Values, Values]:
    """Returns (x, log dx/dy): equations 6 to 8, with the root's form that avoids cancellation.

    Example:
      >>> x, y, slope = jnp.asarray([[-1.0, 0.0, 1.0], [-1.0, 0.5, 1.0], [1.0, 2.0, 1.0]])[:, None]
      >>> x_0, log_slope = inverse(jnp.full(1, 0.5), Knots(x, y, slope))  # the inner knot; -log 2
      >>> x_0.item(), round(log_slope.item(), 3)
      (0.0, -0.693)
    """
    clipped, bin = _bin_of(y, knots, knots.y)
    rise, steepness = clipped - bin.y, bin.left_slope + bin.right_slope - 2 * bin.mean_slope
    a = bin.height * (bin.mean_slope - bin.left_slope) + rise * steepness
    b = bin.height * bin.left_slope - rise * steepness
    c = -bin.mean_slope * rise
    root = jnp.sqrt(jnp.maximum(jnp.square(b) - 4 * a * c, 0.0))
    xi = jnp.clip(2 * c / (-b - root), 0.0, 1.0)
    return _with_tails(y, knots, bin.x + xi * bin.width, -_log_slope(bin, xi))


class _Bin(NamedTuple):
    """The bin of each input: its lower corner, its size, and the slopes at its knots.

    An input is at the fraction `xi` of its bin's width, as in the paper.
    """

    x: Values
    y: Values
    width: Values
    height: Values
    left_slope: Values
    right_slope: Values
    mean_slope: Values  # height / width


def _bin_of(
    value: Values, knots: Knots, positions: Float[Array, '*values knots']
) -> tuple[Values, _Bin]:
    """Returns (the value clipped to the knots, its bin among `positions`)."""
    clipped = jnp.clip(value, positions[..., 0], positions[..., -1])
    # A gather is avoided, because its derivative is slow on a CPU.
    is_above = clipped[..., None] >= positions[..., 1:-1]
    one = jnp.ones_like(is_above[..., :1])
    begins, ends = (
        jnp.concatenate([one, is_above], -1),
        jnp.concatenate([is_above, ~one], -1),
    )
    is_own = begins & ~ends
    pick = lambda per_bin: jnp.sum(jnp.where(is_own, per_bin, 0), -1)
    x, y = pick(knots.x[..., :-1]), pick(knots.y[..., :-1])
    width, height = pick(jnp.diff(knots.x)), pick(jnp.diff(knots.y))
    left, right = pick(knots.slope[..., :-1]), pick(knots.slope[..., 1:])
    return clipped, _Bin(x, y, width, height, left, right, height / width)


def _numerator(bin: _Bin, xi: Values) -> Values:
    return bin.mean_slope * jnp.square(xi) + bin.left_slope * xi * (1 - xi)


def _denominator(bin: _Bin, xi: Values) -> Values:
    return bin.mean_slope + (bin.left_slope + bin.right_slope - 2 * bin.mean_slope) * xi * (1 - xi)


def _log_slope(bin: _Bin, xi: Values) -> Values:
    rest = 1 - xi
    numerator = (
        bin.right_slope * jnp.square(xi)
        + 2 * bin.mean_slope * xi * rest
        + bin.left_slope * jnp.square(rest)
    )
    return 2 * jnp.log(bin.mean_slope) + jnp.log(numerator) - 2 * jnp.log(_denominator(bin, xi))


def _with_tails(
    value: Values, knots: Knots, transformed: Values, log_slope: Values
) -> tuple[Values, Values]:
    """Applies the identity outside the bound."""
    is_inside = (value > knots.x[..., 0]) & (value < knots.x[..., -1])
    return jnp.where(is_inside, transformed, value), jnp.where(is_inside, log_slope, 0.0)
