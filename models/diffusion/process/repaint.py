"""Inpainting with a denoiser trained on complete examples."""

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
    """RePaint: Lugmayr et al. (2022), Algorithm 1, for any schedule and time grid.

    Each step from t to s is repeated `resamples` times, U in the paper: the hidden part takes the
    ancestral step, the known part is drawn from q(x_s | x), and both parts return to t by q(x_t |
    x_s), except in the last repetition. In a single pass the denoiser sees the known part only in
    the noisy x_t; the repetitions make both parts agree. With many steps and resamples the output
    is distributed as x given its known part. For a Gaussian, the error of the mean falls as 1 / U.
    A jump back is one step long. With at most 25 steps, this is as long as the jump of 10 of 250
    steps that the authors advise, or longer.

    Args:
      denoiser: (x_t, t) -> the mean of x, as in `models.diffusion.process.samplers`.
      start: x_t at times[0].
      x: the examples; the values of their hidden parts are never read.
      known: true where x is known.
      times: [steps + 1], decreasing, from `models.diffusion.process.time_grids`.
      schedule: schedule of the process.
      keys: one key per row. The draws of row i depend only on keys[i].
      resamples: at least 1; 1 means no jump back. The denoiser is evaluated steps * resamples + 1
        times.

    Returns:
      x with the known part unchanged and the hidden part set to the denoiser's mean at times[-1].

    Example:
      >>> from models.diffusion.process import schedules, time_grids
      >>> schedule, keys = schedules.exploding(), jnp.zeros((1, 2), jnp.uint32)
      >>> twice = lambda x_t, t: jnp.full((1, 2), x_t.sum() / (2 + schedule.sigma(t[0]) ** 2))
      >>> start, x, known = jnp.asarray([[80.0, 80.0], [2.0, 0.0], [1.0, 0.0]])[:, None]
      >>> times = time_grids.karras(schedule, 400)
      >>> print(repaint(twice, start, x, known == 1, times, schedule, keys, resamples=5).round(1))
      [[2. 2.]]
    """

    def one_pass(x_t, pass_inputs):
        t, s, index, is_back = pass_inputs
        drawn = standard_normal(fold_in(keys, index), 2, *x.shape[1:]).astype(x.dtype)
        noise, noise_back = drawn[:, 0], drawn[:, 1]
        alpha_s, sigma_s, sigma_t = schedule.alpha(s), schedule.sigma(s), schedule.sigma(t)
        ratio = schedule.alpha(t) / alpha_s
        added = schedule.added_variance(t, s)
        # q(x_s | x_t, x): Kingma et al. (2021), equation 26 of appendix A
        mean = alpha_s * added * denoiser(x_t, jnp.full(len(x), t)) + ratio * sigma_s**2 * x_t
        hidden_s = mean / sigma_t**2 + jnp.sqrt(added) * sigma_s / sigma_t * noise
        known_s = alpha_s * x + sigma_s * noise  # used at other positions than hidden_s
        x_s = jnp.where(known, known_s, hidden_s)
        back = ratio * x_s + jnp.sqrt(added) * noise_back
        return jnp.where(is_back, back, x_s), None

    passes = jnp.arange((len(times) - 1) * resamples)
    step, is_back = passes // resamples, (passes + 1) % resamples != 0
    x_first, _ = jax.lax.scan(one_pass, start, (times[step], times[step + 1], passes, is_back))
    return jnp.where(known, x, denoiser(x_first, jnp.full(len(x), times[-1])))
