"""Logarithms in likelihoods, written so that they and their gradients stay finite in float32."""

import functools
import math

import jax
import jax.numpy as jnp

# Keeps exp(-log_scale) times a distance within float32. This is not a modelling choice, because
# e^-60 is far below the width of any bin. (PixelCNN++ clips at -7 to stabilise training, which a
# model may do as well.)
_MIN_LOG_SCALE = -60.0
_FEW_TRIALS = 128  # for more, the large terms of the plain formula leave errors above 1e-5
_FEW_LEVELS = 4096  # for more, a bin is not much wider than the spacing of float32 numbers near 1
_SMALL, _LARGE = 0.5, 50.0  # differences of logits: a series below, an asymptote above


def log_binomial_powers(x, logits, n: int):
    """x log sigmoid(l) + (n - x) log sigmoid(-l), with one exponential and one logarithm.

    Where the sigmoid saturates, x l - n max(l, 0) is exact and the remainder is small. The maximum
    is written as (l + |l|) / 2. At l = 0 the derivative of this |l| cancels against that of the |l|
    in the remainder, whatever value JAX gives it. The derivative of `jnp.maximum` would not cancel.
    """
    size = jnp.abs(logits)
    rest = jnp.log1p(jnp.exp(-size))
    return (x * logits - n * (0.5 * (logits + size))) - n * rest


def log_binomial(x, logits, n: int):
    """log C(n, x) + x log sigmoid(l) + (n - x) log sigmoid(-l), for x in 0 .. n; NaN above n.

    The terms are of the size of n, and the probabilities of many levels sum to one only if their
    rounding errors are far below 1. For more than a few trials, the sum is therefore written as its
    maximum over l minus the rest, n KL(x / n || sigmoid(l)), and both have the size of the result
    (Loader 2000, Fast and Accurate Computation of Binomial Probabilities).
    """
    index = x.astype(jnp.int32)
    if n <= _FEW_TRIALS:
        coefficients = jnp.array(log_binomial_coefficients(n), logits.dtype)
        powers = log_binomial_powers(x.astype(logits.dtype), logits, n)
        return powers + coefficients.at[index].get(mode='fill')
    of_x = lambda table: jnp.array(table, logits.dtype).at[index].get(mode='fill')
    maximum, centre, rest = map(of_x, _binomial_maxima(n))
    inner = maximum - _binomial_divergence(x.astype(logits.dtype), (logits - centre) - rest, n)
    sides = -n * jax.nn.softplus(jnp.where(index == 0, logits, -logits))
    return jnp.where((index == 0) | (index == n), sides, inner)


@functools.cache
def _binomial_maxima(n: int) -> tuple[list[float], list[float], list[float]]:
    """log C(n, k) + k log(k / n) + (n - k) log(1 - k / n) for k = 0 .. n, and the logit of k / n in
    two parts, of which the first is exact in float32. All are 0 at the ends.
    """
    maxima, centres, rests = [0.0], [0.0], [0.0]
    for k, log_coefficient in enumerate(log_binomial_coefficients(n)[1:-1], 1):
        maxima.append(log_coefficient + k * math.log(k / n) + (n - k) * math.log1p(-k / n))
        logit = math.log(k / (n - k))
        centres.append(round(logit * 2**16) / 2**16)
        rests.append(logit - centres[-1])
    return [*maxima, 0.0], [*centres, 0.0], [*rests, 0.0]


def _binomial_divergence(x, shift, n: int):
    """n KL(q || sigmoid(logit(q) + d)) = n log(1 + q (e^d - 1)) - x d with q = x / n, d = shift.

    It has this form for x and for n - x, with -d; the smaller of both has less cancellation. Near
    d = 0, the two functions that begin with squares are summed as series.
    """
    count = jnp.minimum(x, n - x)
    share, shift = count / n, jnp.where(2 * x <= n, shift, -shift)
    is_small = jnp.abs(shift) < _SMALL
    small = jnp.where(is_small, shift, 0.0)
    grown = share * jnp.expm1(small)
    near = n * _log1p_minus(grown) + count * _expm1_minus(small)
    large = jnp.minimum(jnp.where(is_small, _SMALL, shift), _LARGE)
    beyond = (n - count) * jnp.maximum(shift - _LARGE, 0.0)
    far = n * jnp.log1p(share * jnp.expm1(large)) - count * large + beyond
    return jnp.where(is_small, near, far)


def _log1p_minus(u):
    """log(1 + u) - u for |u| <= 1/2, by the series of the inverse hyperbolic tangent."""
    r = u / (2 + u)
    series = sum(r ** (2 * i) / (2 * i + 3) for i in range(9))
    return -u * r + 2 * r**3 * series


def _expm1_minus(d):
    """e^d - 1 - d for |d| <= 1/2."""
    series = 1.0
    for i in range(12, 2, -1):
        series = 1 + d / i * series
    return 0.5 * jnp.square(d) * series


def log_binomial_coefficients(n):
    """log C(n, k) for k = 0 .. n as Python floats.

    In float32, differences of lgamma have a systematic error of 1e-4 nats a pixel at n = 255.
    """
    log_factorials = [math.lgamma(k + 1) for k in range(n + 1)]
    return [log_factorials[n] - log_factorials[k] - log_factorials[n - k] for k in range(n + 1)]


def log_logistic_bin_mass(level, means, log_scales, levels):
    """Log of the logistic mass of each bin, by one formula for all bins and scales.

    For standardised upper edge b and lower edge a of a bin, sigmoid(b) - sigmoid(a) equals
    sigmoid(b) sigmoid(-a) (1 - exp(a - b)). Each factor has a stable logarithm, and an edge at
    infinity sets its factors to one. No branch is ever infinite, so no `where` hides a NaN
    gradient.
    """
    log_scales = jnp.maximum(log_scales, _MIN_LOG_SCALE)
    inverse_scales = jnp.exp(-log_scales)
    # The numerators are whole numbers, so adjacent bins have bitwise the same edge.
    upper = _from_means(2 * level + 1 - (levels - 1), means, levels) * inverse_scales
    lower = _from_means(2 * level - 1 - (levels - 1), means, levels) * inverse_scales
    first, last = level <= 0, level >= levels - 1
    log_below_upper = jnp.where(last, 0.0, jax.nn.log_sigmoid(upper))
    log_above_lower = jnp.where(first, 0.0, jax.nn.log_sigmoid(-lower))
    log_width = math.log(2 / (levels - 1)) - log_scales
    log_width_factor = jnp.where(first | last, 0.0, _log_one_minus_exp_minus_exp(log_width))
    return log_below_upper + log_above_lower + log_width_factor


def _from_means(numerators, means, levels):
    """numerators / (levels - 1) - means.

    Of many levels, a quotient near 1 loses its distance from the means. So the means are scaled,
    which shifts all levels alike.
    """
    if levels <= _FEW_LEVELS:
        return numerators / (levels - 1) - means
    return (numerators - means * (levels - 1)) / (levels - 1)


def _log_one_minus_exp_minus_exp(log_width):
    """log(1 - exp(-exp(log_width))), also where exp(log_width) underflows."""
    width = jnp.exp(log_width)
    tiny = log_width < -20
    # The branch not taken must be finite, because its gradient is multiplied by 0, and 0 * inf is
    # NaN.
    series = log_width - 0.5 * width
    return jnp.where(tiny, series, jnp.log(-jnp.expm1(-jnp.where(tiny, 1.0, width))))
