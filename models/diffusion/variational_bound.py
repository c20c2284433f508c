"""Estimates of log p(x) under a diffusion model: the variational bound, and the ODE's estimate."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

from atelier.core.randomness import fold_in, standard_normal
from atelier.core.types import Batch
from atelier.data.dataset import Spec
from losses import denoising
from models.diffusion.denoiser import (
    Condition,
    DenoiserNetworks,
    denoiser,
    output_of,
    process_per_normalized,
    scales,
    to_process,
)
from models.diffusion.process import time_sampling, weightings
from models.diffusion.process.ode_likelihood import ode_log_prob
from models.diffusion.process.schedules import Schedule

FIRST_DRAW, TIME_DRAWS = 0, 1  # indices folded into the key of each row
Keys = UInt32[Array, 'batch 2']
Nats = Float[Array, 'batch']


def weighted_error(
    nets: DenoiserNetworks,
    schedule: Schedule,
    weights,
    x: Float[Array, 'batch *event'],
    t: Float[Array, 'batch'],
    keys: Keys,
    condition: Condition,
    weighting: Callable | None,
) -> Float[Array, 'batch']:
    """Returns the weighted squared error of the network's output for x (process scale) at time t.

    eps is drawn from the keys. The output's squared error is converted to that of x, and weighted
    by `weighting`. If `weighting` is None, the output's squared error is returned as it is.
    """
    alpha, sigma = scales(schedule, t, x)
    eps = standard_normal(keys, *x.shape[1:]).astype(x.dtype)
    output = output_of(nets, schedule, weights, alpha * x + sigma * eps, t, condition)
    weight = jnp.ones_like(t)
    if weighting is not None:
        scale = nets.prediction.scale(schedule.alpha(t), schedule.sigma(t))
        weight = weighting(schedule, t) * scale**2
    return denoising.denoising_error(nets.prediction.target(x, eps, alpha, sigma), output, weight)


def bound_terms(
    nets: DenoiserNetworks,
    schedule: Schedule,
    weights,
    batch: Batch,
    keys: Keys,
    condition: Condition,
    count: int,
) -> dict[str, Nats]:
    """Returns the bound's terms in nats, for x in the data's units: Kingma et al. (2021), eq. 11.

    `elbo_nats` is minus the sum of the other three terms. The diffusion term is the mean over
    `count` times: by equation 13 for a discrete process, and otherwise by equation 18, with times
    uniform in the half log-SNR.
    """
    _, errors = diffusion_by_time(nets, schedule, weights, batch, keys, condition, count)
    terms = {
        **end_terms(nets, schedule, batch, keys),
        'diffusion_nats': jnp.mean(errors, 0),
    }
    return {'elbo_nats': -sum(terms.values()), **terms}


def end_terms(
    nets: DenoiserNetworks, schedule: Schedule, batch: Batch, keys: Keys
) -> dict[str, Nats]:
    """Returns the bound's two terms without the network, of the last and the first t, in nats."""
    spec, x = nets.spec, to_process(nets.spec, batch['x'])
    return {
        'prior_nats': denoising.prior_kl(x, *_scales_at(schedule, schedule.last)),
        'reconstruction_nats': _reconstruction(spec, schedule, batch['x'], x, keys),
    }


def in_bits(terms: dict[str, Nats], spec: Spec) -> dict[str, Nats]:
    """Returns the terms of the negative bound in bits per dimension."""
    names = {name: name.replace('_nats', '_bits_per_dim') for name in terms if name != 'elbo_nats'}
    return {names[name]: spec.bits_per_dim(terms[name]) for name in names}


def _reconstruction(spec, schedule: Schedule, given, x, keys: Keys) -> Nats:
    """Returns -log p(x | x_t) at the first t."""
    alpha, sigma = _scales_at(schedule, schedule.first)
    eps = standard_normal(fold_in(keys, FIRST_DRAW), *x.shape[1:])
    x_t = alpha * x + sigma * eps
    if spec.levels is None:
        return denoising.density_nats(x, x_t, alpha, sigma) - log_det_to_process(spec, x)
    values = to_process(spec, jnp.arange(spec.levels, dtype=jnp.float32))
    return denoising.levels_nats(given, x_t, values, alpha, sigma)


def diffusion_by_time(
    nets: DenoiserNetworks,
    schedule: Schedule,
    weights,
    batch: Batch,
    keys: Keys,
    condition: Condition,
    count: int,
) -> tuple[Float[Array, 'count batch'], Float[Array, 'count batch']]:
    """Returns `count` times t of each row, and nats whose mean over them is the diffusion term."""
    x = to_process(nets.spec, batch['x'])
    if schedule.num_steps:
        time, weighting = time_sampling.on_steps, weightings.bound
    else:
        time, weighting = time_sampling.uniform_half_log_snr, weightings.bound_by_half_log_snr

    def error_at(index):
        sample_keys = fold_in(keys, TIME_DRAWS + index)
        t = time(schedule, time_sampling.stratified(fold_in(sample_keys, 0), index, count))
        eps_keys = fold_in(sample_keys, 1)
        return t, weighted_error(nets, schedule, weights, x, t, eps_keys, condition, weighting)

    return jax.lax.map(error_at, jnp.arange(count))


def log_det_to_process(spec, x: Float[Array, 'batch *event']) -> Nats:
    """Returns log |d to_process(x) / dx| of each row, in nats."""
    logs = jnp.log(spec.affine(x.shape)[1]) - jnp.log(process_per_normalized(spec))
    return -jnp.sum(logs, tuple(range(1, x.ndim)))


def ode_nats(
    nets: DenoiserNetworks,
    schedule: Schedule,
    weights,
    batch: Batch,
    keys: Keys,
    label: Condition,
    steps: int,
    probes: int,
) -> Nats:
    """Returns the ODE's estimate of log p(x) in nats, for real-valued x in the data's units."""
    x = to_process(nets.spec, batch['x'])
    mean = denoiser(nets, schedule, weights, label)
    return ode_log_prob(mean, x, schedule, keys, steps, probes) + log_det_to_process(nets.spec, x)


def _scales_at(schedule: Schedule, t: float) -> tuple[Array, Array]:
    t = jnp.asarray(t, jnp.float32)
    return schedule.alpha(t), schedule.sigma(t)
