"""log p(x) by the probability-flow ODE (Song et al. 2021, section 4.3 and appendix D.2)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

from atelier.core.randomness import fold_in
from models.diffusion.process.samplers import on_unit_size, velocity
from models.diffusion.process.schedules import Schedule
from models.diffusion.process.time_grids import uniform_half_log_snr

Events = Float[Array, 'batch *event']


def ode_log_prob(
    denoiser: Callable,
    x: Events,
    schedule: Schedule,
    keys: UInt32[Array, 'batch 2'],
    steps: int,
    probes: int,
) -> Float[Array, 'batch']:
    """Returns an estimate of log p_t(x) at the process's first time, in nats: equation 39.

    Solves the ODE of x_t / size(t) by Heun's method, in `steps` equal steps of the half log-SNR.
    The divergence is estimated by the mean of v^T J v over `probes` Rademacher vectors v, fixed
    along the path (Hutchinson; Grathwohl et al. 2019).

    Args:
      denoiser: (x_t, t) -> the mean of x.
      x: the data, used as x_t at the first time without adding the noise of that time.
      schedule: schedule of the process, whose prior is N(0, (alpha^2 + sigma^2) I) at the last
        time. The density is that of the model that samples from this prior. If x_t still depends on
        x at the last time, this density differs from that of the data even if the denoiser is
        exact. For one-dimensional Gaussians like those in the tests, the difference is below 0.06
        nats (0.4 for `log_linear`). It adds up over dimensions.
      keys: one key per row, for the probes.
      steps: number of solver steps; the solver's error falls as 1 / steps^2.
      probes: number of probes; each takes one Jacobian-vector product per evaluation of the ODE. 0
        computes the exact divergence, with one product for each dimension of an event.

    Example:
      >>> from models.diffusion.process.schedules import exploding
      >>> schedule, keys = exploding(), jnp.zeros((1, 2), jnp.uint32)
      >>> mean = lambda x_t, t: 4 * x_t / (4 + schedule.sigma(t)[:, None] ** 2)  # for x ~ N(0, 4)
      >>> found = ode_log_prob(mean, jnp.zeros((1, 1)), schedule, keys, steps=400, probes=0)
      >>> round(found.item(), 2)  # -log(8 pi) / 2
      -1.61
    """
    times = uniform_half_log_snr(schedule, steps).astype(x.dtype)[::-1]
    directions = _directions(x, keys, probes)
    mean, unit = on_unit_size(denoiser, schedule)

    def slopes(x_t, t):
        flow = lambda x_t: velocity(mean, x_t, t, unit)[0]
        slope, push = jax.linearize(flow, x_t)
        along = jax.lax.map(
            lambda v: _quadratic_form(jnp.broadcast_to(v, x_t.shape), push), directions
        )
        return slope, jnp.sum(along, 0) / (probes or 1)

    def step(carry, ends):
        x_t, gained = carry
        t, s = ends
        slope, divergence = slopes(x_t, t)
        end, divergence_end = slopes(x_t + (s - t) * slope, s)
        half = 0.5 * (s - t)
        return (x_t + half * (slope + end), gained + half * (divergence + divergence_end)), None

    log_size = schedule.log_size(times[0])
    start = x * jnp.exp(-log_size), jnp.full(len(x), -x[0].size * log_size)
    (x_last, gained), _ = jax.lax.scan(step, start, (times[:-1], times[1:]))
    return gained + _sum(jax.scipy.stats.norm.logpdf(x_last))


def _quadratic_form(v: Events, push: Callable) -> Float[Array, 'batch']:
    """Returns v^T J v of each row, where push is v -> J v."""
    return _sum(v * push(v))


def _directions(x: Events, keys, probes: int) -> Float[Array, 'directions rows *event']:
    """Returns random signs, or every axis of an event if there are no probes."""
    if not probes:
        return jnp.eye(x[0].size, dtype=x.dtype).reshape(-1, 1, *x.shape[1:])  # for every row
    sign = lambda key: jax.random.rademacher(key, x.shape[1:], x.dtype)
    return jax.vmap(lambda i: jax.vmap(sign)(fold_in(keys, i)))(jnp.arange(probes))


def _sum(x: Events) -> Float[Array, 'batch']:
    return jnp.sum(x, tuple(range(1, x.ndim)))
