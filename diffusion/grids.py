"""Where a sampler stops on its way from noise to data: times [steps + 1], falling."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from diffusion.schedules import Schedule

Grid = Float[Array, 'times']


def uniform_time(schedule: Schedule, steps: int) -> Grid:
    """Equal steps of t."""
    return jnp.linspace(schedule.last, schedule.first, steps + 1)


def uniform_half_log_snr(schedule: Schedule, steps: int) -> Grid:
    """Equal steps of log(alpha / sigma): Lu et al. (2022), section 3.4."""
    ends = jnp.asarray([schedule.last, schedule.first])
    low, high = schedule.half_log_snr(ends)
    inner = schedule.time(jnp.linspace(low, high, steps + 1)[1:-1])
    return jnp.concatenate([ends[:1], inner, ends[1:]])


def karras(schedule: Schedule, steps: int, rho: float = 7.0) -> Grid:
    """Equal steps of (sigma / alpha)^(1 / rho): Karras et al. (2022), equation 5."""
    ends = jnp.asarray([schedule.last, schedule.first])
    high, low = jnp.exp(-schedule.half_log_snr(ends) / rho)
    inner = schedule.time(-rho * jnp.log(jnp.linspace(high, low, steps + 1)[1:-1]))
    return jnp.concatenate([ends[:1], inner, ends[1:]])


GRIDS = {
    'time': uniform_time,
    'half_log_snr': uniform_half_log_snr,
    'karras': karras,
}
