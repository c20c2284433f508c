"""Filling in what is hidden of an example with a denoiser that was trained on whole ones."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, UInt32

from atelier.core.randomness import fold_in, standard_normal
from models.diffusion.process.schedules import Schedule

Events = Float[Array, 'batch *event']


def repaint(
    denoiser: Callable,
    start: Events,
    x: Events,
    known: Bool[Array, 'batch *event'],
    times: Float[Array, 'times'],
    schedule: Schedule,
    keys: UInt32[Array, 'batch 2'],
    resamples: int,
) -> Events:
    """RePaint: Lugmayr et al. (2022), Algorithm 1, for any schedule and any times.

    Each step is taken `resamples` times, U in the paper: the hidden part by the ancestral step, the
    known one by q(x_s | x), and then both go back by q(x_t | x_s), but after the last time. One
    pass alone sees the known part through its noise at t; the repetitions make the two fit. What
    comes out is distributed as x given its known part when steps and resamples are many: of a
    Gaussian the mean's error falls as 1 / U. A jump back is one step long, which of few steps is no
    shorter than the ten of 250 that the authors advise.

    Args:
      denoiser: (x_t, t) -> the mean of x, as samplers take it.
      start: x_t at times[0].
      x: the examples; what stands where they are hidden is never read.
      known: where they are not hidden.
      times: [steps + 1], falling, from `models.diffusion.process.time_grids`.
      schedule: of the process.
      keys: one a row: what row i draws depends on keys[i] alone.
      resamples: from 1, which is no jump back, on; steps * resamples + 1 evaluations in all.

    Returns:
      x: what is known as it is, what is hidden as the denoiser's mean at times[-1].
    """

    def one_pass(x_t, at):
        t, s, number, is_back = at
        drawn = standard_normal(fold_in(keys, number), 2, *x.shape[1:]).astype(x.dtype)
        noise, noise_back = drawn[:, 0], drawn[:, 1]
        alpha_s, sigma_s, sigma_t = schedule.alpha(s), schedule.sigma(s), schedule.sigma(t)
        ratio = schedule.alpha(t) / alpha_s
        added = schedule.added_variance(t, s)
        # q(x_s | x_t, x): Kingma et al. (2021), equation 26 of appendix A
        mean = alpha_s * added * denoiser(x_t, jnp.full(len(x), t)) + ratio * sigma_s**2 * x_t
        hidden_s = mean / sigma_t**2 + jnp.sqrt(added) * sigma_s / sigma_t * noise
        known_s = alpha_s * x + sigma_s * noise  # its numbers at other places
        x_s = jnp.where(known, known_s, hidden_s)
        back = ratio * x_s + jnp.sqrt(added) * noise_back
        return jnp.where(is_back, back, x_s), None

    passes = jnp.arange((len(times) - 1) * resamples)
    step, is_back = passes // resamples, (passes + 1) % resamples != 0
    x_first, _ = jax.lax.scan(one_pass, start, (times[step], times[step + 1], passes, is_back))
    return jnp.where(known, x, denoiser(x_first, jnp.full(len(x), times[-1])))
