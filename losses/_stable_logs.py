"""Logarithms in likelihoods, written so that they and their gradients stay finite in float32."""

import math

import jax
import jax.numpy as jnp

# Keeps exp(-log_scale) times a distance within float32. This is not a modelling choice, because
# e^-60 is far below the width of any bin. (PixelCNN++ clips at -7 to stabilise training, which a
# model may do as well.)
_MIN_LOG_SCALE = -60.0


def log_binomial_powers(x, logits, n: int):
    """x log sigmoid(l) + (n - x) log sigmoid(-l), with one exponential and one logarithm.

    Where the sigmoid saturates, x l - n max(l, 0) is exact and the remainder is small. The maximum
    is written as (l + |l|) / 2. At l = 0 the derivative of this |l| cancels against that of the |l|
    in the remainder, whatever value JAX gives it. The derivative of `jnp.maximum` would not cancel.
    """
    size = jnp.abs(logits)
    rest = jnp.log1p(jnp.exp(-size))
    return (x * logits - n * (0.5 * (logits + size))) - n * rest


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
    upper = ((2 * level + 1 - (levels - 1)) / (levels - 1) - means) * inverse_scales
    lower = ((2 * level - 1 - (levels - 1)) / (levels - 1) - means) * inverse_scales
    first, last = level <= 0, level >= levels - 1
    log_below_upper = jnp.where(last, 0.0, jax.nn.log_sigmoid(upper))
    log_above_lower = jnp.where(first, 0.0, jax.nn.log_sigmoid(-lower))
    log_width = math.log(2 / (levels - 1)) - log_scales
    log_width_factor = jnp.where(first | last, 0.0, _log_one_minus_exp_minus_exp(log_width))
    return log_below_upper + log_above_lower + log_width_factor


def _log_one_minus_exp_minus_exp(log_width):
    """log(1 - exp(-exp(log_width))), also where exp(log_width) underflows."""
    width = jnp.exp(log_width)
    tiny = log_width < -20
    # The branch not taken must be finite, because its gradient is multiplied by 0, and 0 * inf is
    # NaN.
    series = log_width - 0.5 * width
    return jnp.where(tiny, series, jnp.log(-jnp.expm1(-jnp.where(tiny, 1.0, width))))
