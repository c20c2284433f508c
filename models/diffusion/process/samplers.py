"""Samplers: from noise to data with any denoiser and schedule, one `lax.scan` per trajectory.

Every sampler takes

    denoiser: (x_t [batch, *event], t [batch]) -> the mean of x given x_t, [batch, *event].
    x: x_t at times[0], [batch, *event].
    times: [steps + 1], decreasing, from `models.diffusion.process.time_grids`.
    schedule: schedule of the process.
    keys: one per row, for samplers that draw noise. The draws of row i depend only on keys[i].

and returns (x_t at times[-1], the `SamplerSteps`).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

from atelier.core.randomness import fold_in, standard_normal
from models.diffusion.process.schedules import Schedule

Events = Float[Array, 'batch *event']
FEW = 15  # with fewer steps, the last step of DPM-Solver++ is of order one
Times = Float[Array, 'times']


class SamplerSteps(NamedTuple):
    """The input of each sampler step, and the denoiser's mean there.

    x_t: [steps, batch, *event].
    mean: the denoiser's mean of x given x_t, [steps, batch, *event].
    """

    x_t: Float[Array, 'steps batch *event']
    mean: Float[Array, 'steps batch *event']


def ddim(
    denoiser: Callable,
    x: Events,
    times: Times,
    schedule: Schedule,
    keys: UInt32[Array, 'batch 2'],
    eta: float = 0.0,
) -> tuple[Events, SamplerSteps]:
    """DDIM: Song, Meng and Ermon (2021), equation 12, with sigma_t = `eta` times equation 16.

    With eta = 1 this is ancestral sampling, with eta = 0 it is deterministic.

    Example:
      >>> from models.diffusion.process import schedules, time_grids
      >>> schedule, keys = schedules.exploding(), jnp.zeros((1, 2), jnp.uint32)
      >>> mean = lambda x_t, t: x_t / (1 + schedule.sigma(t)[:, None] ** 2)  # for x ~ N(0, 1)
      >>> x_t, times = jnp.full((1, 1), 80.0), time_grids.karras(schedule, 400)
      >>> round(ddim(mean, x_t, times, schedule, keys)[0].item(), 1)  # one std at both ends
      1.0
    """

    def step(x_t, t, s, index):
        alpha_t, sigma_t, alpha_s, sigma_s = _scales(schedule, t, s)
        mean, eps = _mean_and_eps(denoiser, x_t, t, schedule)
        noise = eta * jnp.sqrt(schedule.added_variance(t, s)) * sigma_s / sigma_t  # equation 16
        kept = jnp.sqrt(jnp.maximum(sigma_s**2 - noise**2, 0.0))
        x_s = alpha_s * mean + kept * eps
        if eta:
            drawn = standard_normal(fold_in(keys, index), *x.shape[1:])
            x_s += noise * drawn.astype(x.dtype)
        return x_s, mean

    return _scan(step, x, times)


def ancestral(
    denoiser: Callable, x: Events, times: Times, schedule: Schedule, keys: UInt32[Array, 'batch 2']
) -> tuple[Events, SamplerSteps]:
    """Ancestral sampling, any grid: Ho et al. (2020), Algorithm 2, with beta-tilde of section 3.2.

    Example:
      >>> from models.diffusion.process import schedules, time_grids
      >>> schedule, keys = schedules.exploding(), jax.random.split(jax.random.PRNGKey(0), 4000)
      >>> mean = lambda x_t, t: x_t / (1 + schedule.sigma(t)[:, None] ** 2)  # for x ~ N(0, 1)
      >>> noise, times = 80 * standard_normal(keys, 1), time_grids.karras(schedule, 400)
      >>> round(ancestral(mean, noise, times, schedule, keys)[0].std().item(), 1)
      1.0
    """
    return ddim(denoiser, x, times, schedule, keys, eta=1.0)


def dpm_solver_2(
    denoiser: Callable, x: Events, times: Times, schedule: Schedule, keys=None
) -> tuple[Events, SamplerSteps]:
    """DPM-Solver-2: Lu et al. (2022a), Algorithm 1 with r_1 = 1/2; two evaluations per step.

    Example:
      >>> from models.diffusion.process import schedules, time_grids
      >>> schedule = schedules.exploding()
      >>> mean = lambda x_t, t: x_t / (1 + schedule.sigma(t)[:, None] ** 2)  # for x ~ N(0, 1)
      >>> times = time_grids.karras(schedule, 400)
      >>> round(dpm_solver_2(mean, jnp.full((1, 1), 80.0), times, schedule)[0].item(), 2)
      1.0
    """
    del keys

    def step(x_t, t, s, index):
        del index
        alpha_t, _, alpha_s, sigma_s = _scales(schedule, t, s)
        start = schedule.half_log_snr(t)
        h = schedule.half_log_snr(s) - start
        middle = schedule.time(start + 0.5 * h)
        mean, eps = _mean_and_eps(denoiser, x_t, t, schedule)
        alpha_m, sigma_m = schedule.alpha(middle), schedule.sigma(middle)
        halfway = alpha_m / alpha_t * x_t - sigma_m * jnp.expm1(0.5 * h) * eps
        _, eps = _mean_and_eps(denoiser, halfway, middle, schedule)
        return alpha_s / alpha_t * x_t - sigma_s * jnp.expm1(h) * eps, mean

    return _scan(step, x, times)


def dpm_solver_pp_2m(
    denoiser: Callable, x: Events, times: Times, schedule: Schedule, keys=None
) -> tuple[Events, SamplerSteps]:
    """DPM-Solver++(2M): Lu et al. (2022b), Algorithm 2; order two with one evaluation per step.

    The first step is of order one. So is the last if there are fewer than `FEW` steps, as the
    authors advise. The evaluation at times[-1], which a caller may add, does not count as a step.

    Example:
      >>> from models.diffusion.process import schedules, time_grids
      >>> schedule = schedules.exploding()
      >>> mean = lambda x_t, t: x_t / (1 + schedule.sigma(t)[:, None] ** 2)  # for x ~ N(0, 1)
      >>> times = time_grids.karras(schedule, 400)
      >>> round(dpm_solver_pp_2m(mean, jnp.full((1, 1), 80.0), times, schedule)[0].item(), 2)
      1.0
    """
    del keys
    steps = len(times) - 1

    def step(carry, t, s, index):
        x_t, previous, h_previous = carry
        _, sigma_t, alpha_s, sigma_s = _scales(schedule, t, s)
        h = schedule.half_log_snr(s) - schedule.half_log_snr(t)
        mean = denoiser(x_t, jnp.full(len(x_t), t))
        ratio = jnp.where(h_previous > 0, 0.5 * h / jnp.where(h_previous > 0, h_previous, 1.0), 0.0)
        is_second = (index > 0) & ((index < steps - 1) | (steps >= FEW))
        direction = jnp.where(is_second, mean + ratio * (mean - previous), mean)
        x_s = sigma_s / sigma_t * x_t - alpha_s * jnp.expm1(-h) * direction
        return (x_s, mean, h), mean

    (x, *_), path = _scan(step, (x, jnp.zeros_like(x), jnp.ones((), times.dtype)), times)
    return x, path


def euler(
    denoiser: Callable, x: Events, times: Times, schedule: Schedule, keys=None
) -> tuple[Events, SamplerSteps]:
    """Euler's method for the probability-flow ODE.

    For straight paths: Liu et al. (2023), section 2.

    Example:
      >>> from models.diffusion.process import schedules, time_grids
      >>> schedule = schedules.straight()
      >>> mean = lambda x_t, t: x_t * ((1 - t) / ((1 - t) ** 2 + t**2))[:, None]  # for x ~ N(0, 1)
      >>> times = time_grids.uniform_time(schedule, 400)
      >>> round(euler(mean, jnp.full((1, 1), 1.0), times, schedule)[0].item(), 1)
      1.0
    """
    del keys

    def step(x_t, t, s, index):
        del index
        slope, mean = velocity(denoiser, x_t, t, schedule)
        return x_t + (s - t) * slope, mean

    return _scan(step, x, times)


def heun(
    denoiser: Callable,
    x: Events,
    times: Times,
    schedule: Schedule,
    keys: UInt32[Array, 'batch 2'] | None = None,
    churn: float = 0.0,
) -> tuple[Events, SamplerSteps]:
    """Heun's method: Karras et al. (2022), Algorithm 1, or Algorithm 2 with `churn`, their S_churn.

    Takes two evaluations per step. Added noise is measured in sigma / alpha, the paper's sigma. The
    paper's S_tmin, S_tmax and S_noise are 0, infinity and 1. No noise is added beyond the process's
    last time, where x starts, because the process defines no noisier times.

    Example:
      >>> from models.diffusion.process import schedules, time_grids
      >>> schedule = schedules.exploding()
      >>> mean = lambda x_t, t: x_t / (1 + schedule.sigma(t)[:, None] ** 2)  # for x ~ N(0, 1)
      >>> times = time_grids.karras(schedule, 400)
      >>> round(heun(mean, jnp.full((1, 1), 80.0), times, schedule)[0].item(), 2)
      1.0
    """
    gamma = min(churn / len(times), 2**0.5 - 1)  # their N also counts the step to zero noise

    def step(x_t, t, s, index):
        if gamma:
            x_t, t = _noisier(x_t, t, gamma, schedule, fold_in(keys, index))
        slope, mean = velocity(denoiser, x_t, t, schedule)
        proposal = x_t + (s - t) * slope
        end, _ = velocity(denoiser, proposal, s, schedule)
        return x_t + 0.5 * (s - t) * (slope + end), mean

    return _scan(step, x, times)


def _noisier(x_t, t, gamma: float, schedule: Schedule, keys):
    """Returns (x_t, t) with sigma / alpha 1 + gamma times as large, but not after the last time."""
    later = schedule.time(schedule.half_log_snr(t) - jnp.log1p(gamma))
    later = jnp.minimum(later, schedule.last)
    ratio, added = schedule.alpha(later) / schedule.alpha(t), schedule.added_variance(later, t)
    drawn = standard_normal(keys, *x_t.shape[1:]).astype(x_t.dtype)
    return ratio * x_t + jnp.sqrt(added) * drawn, later


def velocity(denoiser: Callable, x_t: Events, t, schedule: Schedule) -> tuple[Events, Events]:
    """Returns (dx_t/dt, the denoiser's mean) of the probability-flow ODE: alpha' x + sigma' eps.

    Song et al. (2021), equation 13, written with the schedule's alpha and sigma.

    Example:
      >>> from models.diffusion.process.schedules import straight
      >>> mean = lambda x_t, t: x_t * ((1 - t) / ((1 - t) ** 2 + t**2))[:, None]  # for x ~ N(0, 1)
      >>> slope, x = velocity(mean, jnp.full((1, 1), 0.68), jnp.asarray(0.2), straight())
      >>> round(slope.item(), 3), round(x.item(), 3)  # 0.2 - 0.8: eps - x
      (-0.6, 0.8)
    """
    alpha_rate, sigma_rate = schedule.rates(t)
    mean, eps = _mean_and_eps(denoiser, x_t, t, schedule)
    return alpha_rate * mean + sigma_rate * eps, mean


def on_unit_size(denoiser: Callable, schedule: Schedule) -> tuple[Callable, Schedule]:
    """Returns (x_t / size(t), t) -> the mean of x, and the schedule of x_t / size(t).

    If x_t grows by a large factor, as in an exploding process, solving the ODE for x_t / size(t) is
    much more accurate.

    Example:
      >>> from models.diffusion.process.schedules import exploding
      >>> mean, unit = on_unit_size(lambda x_t, t: x_t, exploding())
      >>> t = jnp.ones(1)
      >>> round(unit.size(t).item(), 3), round(mean(jnp.ones((1, 1)), t).item(), 1)
      (1.0, 80.0)
    """

    def mean(scaled, t):
        size = jnp.expand_dims(schedule.size(t), tuple(range(1, scaled.ndim)))
        return denoiser(size * scaled, t)

    return mean, schedule.of_unit_size()


def _mean_and_eps(denoiser: Callable, x_t: Events, t, schedule: Schedule) -> tuple[Events, Events]:
    """Returns the denoiser's mean of x, and the noise in x_t that this mean implies."""
    mean = denoiser(x_t, jnp.full(len(x_t), t))
    return mean, (x_t - schedule.alpha(t) * mean) / schedule.sigma(t)


def _scales(schedule: Schedule, t, s):
    return schedule.alpha(t), schedule.sigma(t), schedule.alpha(s), schedule.sigma(s)


def _scan(step: Callable, start, times: Times):
    """Scans `step(carry, t, s, index)` over adjacent times; x_t is the carry or its first item."""

    def recorded(carry, step_inputs):
        x_t = carry[0] if isinstance(carry, tuple) else carry
        carry, mean = step(carry, *step_inputs)
        return carry, SamplerSteps(x_t, mean)

    indices = jnp.arange(len(times) - 1)
    return jax.lax.scan(recorded, start, (times[:-1], times[1:], indices))
