"""How much an error of x counts at a time: (schedule, t) -> the weight of ||x - mean||^2.

The plain squared error of what a network predicts is itself such a weighting: SNR for eps.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from models.diffusion.process.schedules import Schedule

Times = Float[Array, '*times']
Weighting = Callable[[Schedule, Times], Times]


def snr(schedule: Schedule, t: Times) -> Times:
    """That of the squared error of eps: 'simple' in Ho et al. (2020), equation 14."""
    return jnp.exp(2 * schedule.half_log_snr(t))


def truncated_snr(most: float) -> Weighting:
    """min(SNR, most): Hang et al. (2023), Min-SNR, equation 8."""
    return lambda schedule, t: jnp.minimum(snr(schedule, t), most)


def unit_output(data_std: float) -> Weighting:
    """1 / c_out^2, which gives every noise level the same weight: Karras et al. (2022), table 1."""

    def weight(schedule: Schedule, t: Times) -> Times:
        noise = jnp.exp(-schedule.half_log_snr(t))
        return (noise**2 + data_std**2) / (noise * data_std) ** 2

    return weight


def bound(schedule: Schedule, t: Times) -> Times:
    """-1/2 dSNR/dt times the process's length: with it the error at a uniform t is in nats.

    Kingma et al. (2021), equation 17. Of a process in steps 1/2 (SNR(t - 1 / T) - SNR(t)) times T,
    equation 13, and nothing at the first step, which has none before it.
    """
    if schedule.num_steps:
        before = jnp.maximum(t - 1.0 / schedule.num_steps, schedule.first)
        return 0.5 * schedule.num_steps * (snr(schedule, before) - snr(schedule, t))
    _, rate = jax.jvp(schedule.half_log_snr, (t,), (jnp.ones_like(t),))
    return -(schedule.last - schedule.first) * rate * snr(schedule, t)


def bound_for_training(schedule: Schedule, t: Times) -> Times:
    """`bound`, but of a process in steps the first counts as the second: samplers end there."""
    if schedule.num_steps:
        t = jnp.maximum(t, schedule.first + 1.0 / schedule.num_steps)
    return bound(schedule, t)


def bound_by_half_log_snr(schedule: Schedule, t: Times) -> Times:
    """`bound` where it is the half log-SNR that is uniform: Kingma et al. (2021), equation 18."""
    high, low = schedule.half_log_snr(jnp.asarray([schedule.first, schedule.last], t.dtype))
    return (high - low) * snr(schedule, t)
