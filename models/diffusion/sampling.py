"""Sampling, denoising, inpainting and ODE codes of a trained diffusion model."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

from atelier.core.randomness import Rng, fold_in, standard_normal
from atelier.core.types import Batch
from atelier.data.dataset import Spec
from models.diffusion.denoiser import (
    Condition,
    DenoiserNetworks,
    as_data,
    data_std,
    denoiser,
    from_process,
    in_interval,
    process_per_normalized,
    scales,
    to_process,
)
from models.diffusion.process.ode_codes import ode_decode, ode_encode
from models.diffusion.process.repaint import repaint
from models.diffusion.process.samplers import SamplerSteps, ancestral
from models.diffusion.process.schedules import Schedule

START_DRAW, LABEL_DRAW, STEP_DRAWS = 0, 1, 2  # indices folded into the key of each row
Events = Float[Array, 'batch *event']
Keys = UInt32[Array, 'batch 2']


class Sampling(NamedTuple):
    """How samples are drawn.

    sampler: one of `models.diffusion.process.samplers`.
    grid: one of `models.diffusion.process.time_grids`.
    steps: number of sampler steps; the last one goes from the process's smallest time to the data.
    guidance: as in `models.diffusion.denoiser.denoiser`.
    clip: as in `models.diffusion.denoiser.denoiser`.
    resamples: as in `models.diffusion.process.repaint.repaint`, which takes ancestral steps,
      whatever the `sampler`, on the same grid.
    per_step: network evaluations in each step but the last; the last step takes one.
    """

    sampler: Callable
    grid: Callable
    steps: int
    guidance: float
    clip: bool
    resamples: int = 1
    per_step: int = 1

    @property
    def evaluations(self) -> int:
        """Network evaluations per sample; guidance doubles them (with and without the class)."""
        per_mean = 1 if self.guidance == 1.0 else 2
        return per_mean * (self.per_step * (self.steps - 1) + 1)


def walk(
    nets: DenoiserNetworks,
    schedule: Schedule,
    sampling: Sampling,
    weights,
    x: Events,
    keys: Keys,
    label: Condition,
) -> tuple[SamplerSteps, SamplerSteps]:
    """Runs the sampler from x_t = `x` at the schedule's last time to its first time.

    At the first time it predicts the data.

    Returns:
      The trajectory of the sampler's steps, and that of the last evaluation, which has no steps
      axis.
    """
    mean = denoiser(nets, schedule, weights, label, sampling.guidance, sampling.clip)
    grid = sampling.grid(schedule, sampling.steps - 1)
    x, steps = sampling.sampler(mean, x, grid, schedule, keys)
    return steps, SamplerSteps(x, mean(x, jnp.full(len(x), grid[-1])))


def sampled(
    nets: DenoiserNetworks,
    schedule: Schedule,
    sampling: Sampling,
    weights,
    rng: Rng,
    label: Condition,
) -> tuple[SamplerSteps, SamplerSteps]:
    """Runs `walk` from noise; row i draws from its own key."""
    start, keys = _start(nets, schedule, rng.keys), fold_in(rng.keys, STEP_DRAWS)
    return walk(nets, schedule, sampling, weights, start, keys, label)


def _start(nets: DenoiserNetworks, schedule: Schedule, keys: Keys) -> Events:
    noise = standard_normal(fold_in(keys, START_DRAW), *nets.spec.event_shape)
    return schedule.last_std(noise.dtype) * noise


def rescaled_trajectory(
    spec: Spec,
    schedule: Schedule,
    sampling: Sampling,
    steps_and_end: tuple[SamplerSteps, SamplerSteps],
) -> tuple[Float[Array, 'batch steps *event'], Float[Array, 'batch steps *event']]:
    """Returns x_t and the mean at all steps, each [batch, steps, *event], in the data's units.

    x_t is rescaled to the data's standard deviation. Values are neither clipped to the data's
    interval nor rounded to levels.
    """
    trajectory = jax.tree.map(lambda a, b: jnp.concatenate([a, b[None]]), *steps_and_end)
    grid = sampling.grid(schedule, sampling.steps - 1)
    alpha, sigma = scales(schedule, grid, trajectory.x_t)
    std = data_std(spec)
    x_t = trajectory.x_t * std / jnp.sqrt((alpha * std) ** 2 + sigma**2)
    return tuple(from_process(spec, jnp.moveaxis(a, 0, 1)) for a in (x_t, trajectory.mean))


def denoised(
    nets: DenoiserNetworks,
    schedule: Schedule,
    sampling: Sampling,
    weights,
    batch: Batch,
    keys: Keys,
    label: Condition,
) -> Events:
    """Removes Gaussian noise of standard deviation batch['noise_std'] (normalized scale) from x.

    Each row starts at the time with that noise level, on its own time grid, and takes ancestral
    steps without guidance. One step gives the mean of p(x | x_t), or of p(x | x_t, label), which
    has the least expected squared error. More steps give a sample of p(x | x_t), or of
    p(x | x_t, label). An ODE cannot give such a sample, because it maps each x_t to one x.
    """
    sampling = sampling._replace(sampler=ancestral, guidance=1.0)
    times = schedule.time(-jnp.log(process_per_normalized(nets.spec) * batch['noise_std']))
    times = jnp.clip(times, schedule.first, schedule.last)

    def of_row(x, t, key, label):
        label = None if label is None else label[None]
        row_schedule, x_t = schedule._replace(last=t), schedule.alpha(t) * x[None]
        _, end = walk(nets, row_schedule, sampling, weights, x_t, key[None], label)
        return end.mean[0]

    keys = fold_in(keys, STEP_DRAWS)
    in_axes = 0, 0, 0, None if label is None else 0
    x = jax.vmap(of_row, in_axes)(to_process(nets.spec, batch['x']), times, keys, label)
    return in_interval(nets.spec, x)


def inpainted(
    nets: DenoiserNetworks,
    schedule: Schedule,
    sampling: Sampling,
    weights,
    batch: Batch,
    keys: Keys,
    label: Condition,
) -> Events:
    """Returns x with its hidden parts, where batch['known'] is 0, filled in."""
    mean = denoiser(nets, schedule, weights, label, sampling.guidance, sampling.clip)
    x, known = batch['x'], batch['known'].astype(bool)
    # `repaint` reads the known part of x only in its steps, so it needs at least one
    grid = sampling.grid(schedule, max(sampling.steps - 1, 1))
    start, x_known = _start(nets, schedule, keys), to_process(nets.spec, x)
    step_keys = fold_in(keys, STEP_DRAWS)
    filled = repaint(mean, start, x_known, known, grid, schedule, step_keys, sampling.resamples)
    return jnp.where(known, x, as_data(nets.spec, filled))


def codes_from_prior(
    nets: DenoiserNetworks, rng: Rng, label: Condition
) -> Float[Array, 'batch latent']:
    """Returns the codes of the noise that `sampled` starts from."""
    keys = fold_in(rng.keys, START_DRAW)
    return _with_condition(nets, standard_normal(keys, *nets.spec.event_shape), label)


def coded(
    nets: DenoiserNetworks, schedule: Schedule, weights, x: Events, label: Condition, steps: int
) -> Float[Array, 'batch latent']:
    """Returns the ODE's codes, followed by the condition: a one-hot class, zeros if it is null."""
    mean, x = denoiser(nets, schedule, weights, label), to_process(nets.spec, x)
    return _with_condition(nets, ode_encode(mean, x, schedule, steps), label)


def decoded(
    nets: DenoiserNetworks,
    schedule: Schedule,
    weights,
    codes: Float[Array, 'batch latent'],
    steps: int,
) -> Events:
    """Returns the examples decoded from the codes.

    A code between two classes is decoded with the nearer class as its label.
    """
    z, rest = jnp.split(codes, [nets.spec.num_dims], -1)
    condition = _condition_in(nets, rest) if nets.is_conditional else None
    mean, z = denoiser(nets, schedule, weights, condition), z.reshape(-1, *nets.spec.event_shape)
    return in_interval(nets.spec, ode_decode(mean, z, schedule, steps))


def _with_condition(
    nets: DenoiserNetworks, z: Events, condition: Condition
) -> Float[Array, 'batch latent']:
    """Returns events as flat codes, followed by the condition; a label becomes one-hot."""
    z = z.reshape(len(z), -1)
    if condition is None:
        return z
    if condition.ndim == 1:
        condition = jax.nn.one_hot(condition, nets.spec.num_classes)
    return jnp.concatenate([z, condition.astype(z.dtype)], -1)


def _condition_in(nets: DenoiserNetworks, values: Float[Array, 'batch columns']) -> Condition:
    """Returns the condition at the end of codes."""
    if nets.reads_words:
        return jnp.round(values).astype(jnp.int32)
    if nets.spec.condition is not None:
        return values
    is_any = jnp.max(values, -1) <= 0
    return jnp.where(is_any, nets.spec.num_classes, jnp.argmax(values, -1))
