"""Loss weightings: (schedule, t) -> the weight of ||x - mean||^2.

The plain squared error of a network's output corresponds to such a weighting, too. For an eps
prediction, this weighting is the SNR.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from models.diffusion.process.schedules import Schedule

Times = Float[Array, '*times']
Weighting = Callable[[Schedule, Times], Times]


def snr(schedule: Schedule, t: Times) -> Times:
    """Returns the weight that gives the squared error of eps: Ho et al. (2020), equation 14."""
    return jnp.exp(2 * schedule.half_log_snr(t))


def truncated_snr(max_snr: float) -> Weighting:
    """Returns min(SNR, max_snr): Min-SNR of Hang et al. (2023), equation 8."""
    return lambda schedule, t: jnp.minimum(snr(schedule, t), max_snr)


def unit_output(data_std: float) -> Weighting:
    """Returns 1 / c_out^2, equal weights for the output's errors: Karras et al. (2022), table 1."""

    def weight(schedule: Schedule, t: Times) -> Times:
        noise = jnp.exp(-schedule.half_log_snr(t))
        return (noise**2 + data_std**2) / (noise * data_std) ** 2

    return weight


def bound(schedule: Schedule, t: Times) -> Times:
    """Returns -1/2 dSNR/dt (last - first), so that the weighted error at a uniform t is in nats.

    Kingma et al. (2021), equation 17. For a process of T steps it is 1/2 (SNR(t - 1 / T) - SNR(t))
    T, equation 13, and 0 at the first step, which has no step before it.
    """
    if schedule.num_steps:
        before = jnp.maximum(t - 1.0 / schedule.num_steps, schedule.first)
        return 0.5 * schedule.num_steps * (snr(schedule, before) - snr(schedule, t))
    _, rate = jax.jvp(schedule.half_log_snr, (t,), (jnp.ones_like(t),))
    return -(schedule.last - schedule.first) * rate * snr(schedule, t)


def bound_for_training(schedule: Schedule, t: Times) -> Times:
    """`bound`, except that the first step of a discrete process has the weight of the second.

    Samplers end at the first step, so it has to be trained.
    """
    if schedule.num_steps:
        t = jnp.maximum(t, schedule.first + 1.0 / schedule.num_steps)
    return bound(schedule, t)


def bound_by_half_log_snr(schedule: Schedule, t: Times) -> Times:
    """`bound` for times uniform in the half log-SNR: Kingma et al. (2021), equation 18."""
    high, low = schedule.half_log_snr(jnp.asarray([schedule.first, schedule.last], t.dtype))
    return (high - low) * snr(schedule, t)
