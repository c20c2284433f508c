"""Time grids of samplers, from noise to data: decreasing times [steps + 1].

A grid of 0 steps holds only the schedule's last time.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from models.diffusion.process.schedules import Schedule

Grid = Float[Array, 'times']


def uniform_time(schedule: Schedule, steps: int) -> Grid:
    """Returns equal steps of t."""
    return jnp.linspace(schedule.last, schedule.first, steps + 1)


def uniform_half_log_snr(schedule: Schedule, steps: int) -> Grid:
    """Returns equal steps of log(alpha / sigma): Lu et al. (2022a), section 3.4."""
    return _equal_steps(schedule, steps, lambda level: level, lambda level: level)


def karras(schedule: Schedule, steps: int, rho: float = 7.0) -> Grid:
    """Returns equal steps of (sigma / alpha)^(1 / rho): Karras et al. (2022), equation 5."""
    return _equal_steps(
        schedule, steps, lambda level: jnp.exp(-level / rho), lambda root: -rho * jnp.log(root)
    )


def _equal_steps(schedule: Schedule, steps: int, of_level: Callable, level_of: Callable) -> Grid:
    """Returns equal steps of the function `of_level` of the half log-SNR, with exact ends.

    `level_of` is the inverse of `of_level`.
    """
    ends = jnp.asarray([schedule.last, schedule.first])
    values = jnp.linspace(*of_level(schedule.half_log_snr(ends)), steps + 1)
    inner = schedule.time(level_of(values[1:-1]))
    return jnp.concatenate([ends[:1], inner, ends[1:]])[: steps + 1]


GRIDS = {
    'time': uniform_time,
    'half_log_snr': uniform_half_log_snr,
    'karras': karras,
}
