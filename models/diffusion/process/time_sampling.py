"""Sampling of training times: uniform u in [0, 1), and maps (schedule, u) -> t."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

from atelier.core.randomness import Rng, fold_in
from models.diffusion.process.schedules import Schedule

Values = Float[Array, 'local']
Time = Callable[[Schedule, Values], Values]


def spread_over_batch(rng: Rng) -> Values:
    """Returns (u + i / B) mod 1 for row i of B, with one random u in [0, 1) for all rows.

    Kingma et al. (2021), appendix I.1. Rows are those of the global batch, so the values do not
    depend on the number of devices.
    """
    start = jax.random.uniform(rng.shared_key)
    return jnp.mod(start + rng.rows.astype(start.dtype) / rng.batch_size, 1.0)


def stratified(keys: UInt32[Array, 'local 2'], stratum, count: int) -> Values:
    """Draws u for each row from the `stratum`-th of `count` equal strata of [0, 1)."""
    u = jax.vmap(jax.random.uniform)(fold_in(keys, stratum))
    return (stratum + u) / count


def uniform(schedule: Schedule, u: Values) -> Values:
    """Returns t uniform between the schedule's ends."""
    return schedule.first + u * (schedule.last - schedule.first)


def on_steps(schedule: Schedule, u: Values) -> Values:
    """Returns one of the process's steps 1 / T, 2 / T, ..., 1: Ho et al. (2020), Algorithm 1."""
    step = jnp.minimum(jnp.floor(u * schedule.num_steps), schedule.num_steps - 1.0)
    return (step + 1.0) / schedule.num_steps


def log_normal(mean: float, std: float) -> Time:
    """Returns times with log(sigma / alpha) ~ N(mean, std^2), clipped to the schedule's ends.

    Karras et al. (2022), table 1.
    """

    def time(schedule: Schedule, u: Values) -> Values:
        noise = mean + std * jax.scipy.special.ndtri(jnp.clip(u, 1e-6, 1 - 1e-6))
        return jnp.clip(schedule.time(-noise), schedule.first, schedule.last)

    return time


def uniform_half_log_snr(schedule: Schedule, u: Values) -> Values:
    """Returns t uniform in log(alpha / sigma)."""
    ends = jnp.asarray([schedule.first, schedule.last], u.dtype)
    high, low = schedule.half_log_snr(ends)
    return jnp.clip(schedule.time(low + u * (high - low)), schedule.first, schedule.last)
