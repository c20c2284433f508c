"""A learned noise schedule: monotone, with fixed ends (Kingma et al. 2021)."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from models.diffusion.process.schedules import Schedule, of_half_log_snr

HALVINGS = 40  # bisection steps to find the time of a half log-SNR


class MonotoneHalfLogSnr(nn.Module):
    """log(alpha / sigma), falling from `high` at t = 0 to `low` at t = 1: appendix H.

    The function is a line plus a network with positive weights, rescaled to have these ends. At
    initialization it is almost the line.

    Attributes:
      high: value at t = 0.
      low: value at t = 1.
      hidden_size: hidden units of the network.
    """

    high: float
    low: float
    hidden_size: int = 64

    @nn.compact
    def __call__(self, t: Float[Array, '*times']) -> Float[Array, '*times']:
        """Returns log(alpha / sigma) at each t."""
        size = (self.hidden_size,)
        slopes = self.param('slopes', nn.initializers.normal(1.0), size)
        shifts = self.param('shifts', nn.initializers.normal(1.0), size)
        heights = self.param('heights', nn.initializers.constant(-6.0), size)

        @jnp.vectorize
        def rising(t):
            waves = nn.sigmoid(4.0 * nn.softplus(slopes) * (t - 0.5) + shifts)
            return t + waves @ nn.softplus(heights)

        ends = rising(jnp.asarray([0.0, 1.0], t.dtype))
        share = (rising(t) - ends[0]) / (ends[1] - ends[0])
        return self.high + (self.low - self.high) * share


def learned(module: MonotoneHalfLogSnr, params) -> Schedule:
    """Returns the schedule with these parameters; it finds times by bisection."""
    half_log_snr = lambda t: module.apply({'params': params}, t)

    def time(value: Float[Array, '*times']) -> Float[Array, '*times']:
        def halve(_, ends):
            early, late = ends
            middle = 0.5 * (early + late)
            is_later = half_log_snr(middle) > value
            return jnp.where(is_later, middle, early), jnp.where(is_later, late, middle)

        ends = jnp.zeros_like(value), jnp.ones_like(value)
        early, late = jax.lax.fori_loop(0, HALVINGS, halve, ends)
        return 0.5 * (early + late)

    return of_half_log_snr(half_log_snr, time)
