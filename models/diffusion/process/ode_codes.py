"""Codes without an encoder: the probability-flow ODE maps x to noise and back.

Song et al. (2021), section 4.3, and with another solver Song, Meng and Ermon (2021), section 5.4.
"""

from collections.abc import Callable

from jaxtyping import Array, Float

from models.diffusion.process.samplers import heun, on_unit_size
from models.diffusion.process.schedules import Schedule
from models.diffusion.process.time_grids import uniform_half_log_snr

Events = Float[Array, 'batch *event']


def ode_encode(denoiser: Callable, x: Events, schedule: Schedule, steps: int) -> Events:
    """Returns the noise to which the ODE maps x at the last time, scaled to unit variance.

    Solves the ODE of x_t / size(t) by Heun's method, in `steps` equal steps of the half log-SNR.

    Args:
      denoiser: (x_t, t) -> the mean of x, without clipping, which would not be invertible.
      x: the data, used as x_t at the first time without adding the noise of that time.
      schedule: schedule of the process.
      steps: number of solver steps; the reconstruction error of `ode_decode` falls as 1 / steps^2.

    Example:
      >>> import jax.numpy as jnp
      >>> from models.diffusion.process.schedules import exploding
      >>> schedule = exploding()
      >>> mean = lambda x_t, t: 4 * x_t / (4 + schedule.sigma(t)[:, None] ** 2)  # for x ~ N(0, 4)
      >>> round(ode_encode(mean, jnp.full((1, 1), 6.0), schedule, steps=400).item(), 1)
      3.0
    """
    times = uniform_half_log_snr(schedule, steps).astype(x.dtype)[::-1]
    mean, unit = on_unit_size(denoiser, schedule)
    return heun(mean, x / schedule.size(times[0]), times, unit)[0]


def ode_decode(denoiser: Callable, codes: Events, schedule: Schedule, steps: int) -> Events:
    """Returns the x of a code: the inverse of `ode_encode`, with the same times.

    Example:
      >>> import jax.numpy as jnp
      >>> from models.diffusion.process.schedules import exploding
      >>> schedule = exploding()
      >>> mean = lambda x_t, t: 4 * x_t / (4 + schedule.sigma(t)[:, None] ** 2)  # for x ~ N(0, 4)
      >>> round(ode_decode(mean, jnp.full((1, 1), 3.0), schedule, steps=400).item(), 1)
      6.0
    """
    times = uniform_half_log_snr(schedule, steps).astype(codes.dtype)
    mean, unit = on_unit_size(denoiser, schedule)
    return schedule.size(times[-1]) * heun(mean, codes, times, unit)[0]
