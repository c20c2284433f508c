"""Diffusion models and flow matching: training, sampling and likelihood of one denoiser.

Network, process, prediction, weighting and sampler are independent choices (Karras et al. 2022):
the straight process with a velocity prediction is flow matching, a variance-preserving process
with an eps prediction is DDPM.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from atelier.core import game
from atelier.core.abilities import BoundTerms, Codes, Denoise, Inpaint, LogProb, Sample, Trajectory
from atelier.core.family import Family, present
from atelier.core.randomness import Rng, fold_in
from atelier.core.types import Batch, Weights
from models.diffusion.checks import check_label_dropout, check_likelihood, check_sampling
from models.diffusion.denoiser import (
    Condition,
    DenoiserNetworks,
    as_data,
    condition_of,
    process_per_normalized,
    to_process,
    with_some_hidden,
)
from models.diffusion.learned_schedule import MonotoneHalfLogSnr, learned
from models.diffusion.process import time_sampling
from models.diffusion.process.schedules import Schedule
from models.diffusion.sampling import (
    LABEL_DRAW,
    Sampling,
    coded,
    codes_from_prior,
    decoded,
    denoised,
    inpainted,
    rescaled_trajectory,
    sampled,
)
from models.diffusion.variational_bound import (
    bound_terms,
    diffusion_by_time,
    end_terms,
    in_bits,
    ode_nats,
    weighted_error,
)
from models.nets.conditioning import conditional_sample, is_on_class, requested
from models.shared.bayes_classifier import classifier_by_bayes_rule

EPS_DRAW, LABEL_DROPOUT_DRAW = 0, 1  # key indices of the training loss
METRIC_TIMES = 8  # at most so many diffusion times per example; with one, noise would hide progress


class Process(NamedTuple):
    """The forward process and the training objective.

    schedule: noise schedule; if it is learned, it is a player of its own.
    weighting: one of `models.diffusion.process.weightings`, or None for the unweighted error of the
      network's output.
    time: distribution of training times, one of `models.diffusion.process.time_sampling`.
    label_dropout: fraction of examples whose condition is hidden (Ho and Salimans 2022, Algorithm
      1).
    """

    schedule: Schedule | MonotoneHalfLogSnr
    weighting: Callable | None
    time: Callable
    label_dropout: float = 0.0


class Likelihood(NamedTuple):
    """How log p(x) is estimated: `kind` is 'bound', at `num_times` diffusion times, or 'ode'.

    ode_steps: solver steps of the ODE.
    ode_probes: random probes of the ODE's divergence; 0 computes the exact divergence.
    """

    kind: str
    num_times: int
    ode_steps: int
    ode_probes: int


def check(
    nets: DenoiserNetworks, process: Process, sampling: Sampling, likelihood: Likelihood
) -> None:
    """Refuses invalid or incompatible settings with a message that names the config field."""
    label_dropout, max_steps = process.label_dropout, getattr(process.schedule, 'num_steps', None)
    check_label_dropout(label_dropout, nets.is_conditional, nets.spec)
    check_sampling(sampling, max_steps, nets.is_conditional, label_dropout)
    check_likelihood(nets.spec, **likelihood._asdict())


def diffusion(
    nets: DenoiserNetworks, process: Process, sampling: Sampling, likelihood: Likelihood
) -> Family:
    """Returns the family of the player `model` and, if the schedule is learned, of `schedule`.

    The model minimizes the mean error per dimension of x, so that one `clip_norm` serves events of
    any size. The schedule minimizes the mean of (error / batch mean of the error)^2. Because the
    bound's expected value does not depend on the schedule, this minimizes the variance of the
    bound's estimate (Kingma et al. 2021, appendix I.2).
    """
    check(nets, process, sampling, likelihood)
    players = ('model',) if isinstance(process.schedule, Schedule) else ('model', 'schedule')

    def loss(weights, batch, rng, step, hypers):
        del step, hypers
        error = training_error(nets, process, weights.params, batch, rng) / nets.spec.num_dims
        values = {'model': jnp.mean(error)}
        if 'schedule' in players:
            mean_error = jax.lax.stop_gradient(jnp.mean(rng.gather(error)))  # over all devices
            values['schedule'] = jnp.mean(jnp.square(error / mean_error))
        return values, (weights.extra, {})

    def metrics(weights, batch, rng):
        schedule, params = schedule_of(process, weights.params), weights.params['model']
        count = min(METRIC_TIMES, likelihood.num_times)
        terms = bound_terms(
            nets, schedule, params, batch, rng.keys, condition_of(nets, batch), count
        )
        return terms if nets.spec.levels is None else {**terms, **in_bits(terms, nets.spec)}

    log_prob = log_prob_of(nets, process, likelihood)
    classify = classifier_by_bayes_rule(log_prob.nats, nets.spec, nets.is_conditional)
    return Family(
        init=lambda key, batch: initialize(nets, process, key, batch),
        turns=(game.Turn(players, loss),),
        metrics=metrics,
        abilities=present(
            log_prob,
            classify,
            bound_of(nets, process, likelihood.num_times),
            *sampling_abilities(nets, process, sampling, likelihood.ode_steps),
        ),
    )


def log_prob_of(nets: DenoiserNetworks, process: Process, likelihood: Likelihood) -> LogProb:
    """Returns the variational bound, or the ODE's estimate.

    The ODE's estimate comes with a coarser one that takes half the steps with the same probes.
    """

    def bound(weights, batch, rng):
        schedule, params = schedule_of(process, weights.params), weights.params['model']
        count = likelihood.num_times
        terms = bound_terms(
            nets, schedule, params, batch, rng.keys, condition_of(nets, batch), count
        )
        return terms['elbo_nats']

    def ode_estimate(steps):
        def nats(weights, batch, rng):
            schedule, params = schedule_of(process, weights.params), weights.params['model']
            probes, label = likelihood.ode_probes, condition_of(nets, batch)
            return ode_nats(nets, schedule, params, batch, rng.keys, label, steps, probes)

        return nats

    if likelihood.kind == 'bound':
        times = likelihood.num_times
        return LogProb(bound, 'lower bound', f'{times} time' + 's' * (times != 1))
    steps, probes = likelihood.ode_steps, likelihood.ode_probes
    coarser = ode_estimate(steps // 2) if steps > 1 else None
    divergence = f'{probes} probe' + 's' * (probes != 1) if probes else 'exact divergence'
    budget = f'{steps} step' + 's' * (steps != 1) + f', {divergence}'
    return LogProb(ode_estimate(steps), 'estimate', budget, coarser)


def bound_of(nets: DenoiserNetworks, process: Process, num_times: int) -> BoundTerms:
    """Returns the terms of the variational bound at the times at which log p(x) is bounded."""

    def nats(weights, batch, rng):
        return end_terms(nets, schedule_of(process, weights.params), batch, rng.keys)

    def by_time(weights, batch, rng):
        schedule, params = schedule_of(process, weights.params), weights.params['model']
        condition = condition_of(nets, batch)
        t, error = diffusion_by_time(nets, schedule, params, batch, rng.keys, condition, num_times)
        return t.T, error.T

    return BoundTerms(nats, by_time)


def sampling_abilities(
    nets: DenoiserNetworks, process: Process, sampling: Sampling, ode_steps: int
) -> tuple[Sample, Trajectory, Denoise, Inpaint, Codes]:
    """Returns the abilities of a trained model that use its process or its ODE."""

    def walk(weights, rng, condition):
        schedule, label = (
            schedule_of(process, weights.params),
            condition_of_samples(nets, rng, condition),
        )
        return sampled(nets, schedule, sampling, weights.params['model'], rng, label)

    def sample(weights, rng, condition):
        _, end = walk(weights, rng, condition)
        return as_data(nets.spec, end.mean)

    def trajectory(weights, rng, condition):
        schedule = schedule_of(process, weights.params)
        return rescaled_trajectory(nets.spec, schedule, sampling, walk(weights, rng, condition))

    def denoise(weights, batch, rng):
        schedule, params = schedule_of(process, weights.params), weights.params['model']
        return denoised(
            nets, schedule, sampling, params, batch, rng.keys, condition_of(nets, batch)
        )

    def inpaint(weights, batch, rng):
        schedule, params = schedule_of(process, weights.params), weights.params['model']
        return inpainted(
            nets, schedule, sampling, params, batch, rng.keys, condition_of(nets, batch)
        )

    def prior(weights, rng):
        return codes_from_prior(nets, rng, condition_of_samples(nets, rng, None))

    def encode(weights, batch, rng):
        del rng
        schedule = schedule_of(process, weights.params)
        x, label = batch['x'], condition_of(nets, batch)
        return coded(nets, schedule, weights.params['model'], x, label, ode_steps)

    def decode(weights, codes):
        schedule = schedule_of(process, weights.params)
        return decoded(nets, schedule, weights.params['model'], codes, ode_steps)

    has_class = is_on_class(nets.spec, nets.is_conditional)
    return (
        conditional_sample(sample, LABEL_DRAW, nets.spec, nets.is_conditional),
        Trajectory(trajectory, sampling.evaluations),
        Denoise(denoise, max_noise(process) / process_per_normalized(nets.spec)),
        Inpaint(inpaint),
        Codes(encode, decode, prior, dims=(nets.spec.num_dims,), has_class=has_class),
    )


def max_noise(process: Process) -> float:
    """Returns sigma / alpha at the process's last time."""
    schedule = process.schedule
    if not isinstance(schedule, Schedule):
        return math.exp(-schedule.low)
    return float(jnp.exp(-schedule.half_log_snr(jnp.asarray(schedule.last))))


def initialize(nets: DenoiserNetworks, process: Process, key, batch: Batch) -> Weights:
    """Returns the parameters of the network and of a learned schedule, and empty collections."""
    first = {name: array[:1] for name, array in batch.items()}
    level, label = jnp.zeros(1), condition_of(nets, first)
    args = to_process(nets.spec, first['x']), level, label
    params = {'model': nets.network.init(jax.random.fold_in(key, 0), *args)['params']}
    if not isinstance(process.schedule, Schedule):
        variables = process.schedule.init(jax.random.fold_in(key, 1), level)
        params['schedule'] = variables['params']
    return Weights(params, {player: {} for player in params})


def schedule_of(process: Process, params) -> Schedule:
    """Returns the process's schedule, with these parameters if it is learned."""
    if isinstance(process.schedule, Schedule):
        return process.schedule
    return learned(process.schedule, params['schedule'])


def training_error(nets: DenoiserNetworks, process: Process, params, batch: Batch, rng: Rng):
    """Returns the weighted error of each example at a random time, [batch]."""
    schedule = schedule_of(process, params)
    t = process.time(schedule, time_sampling.spread_over_batch(rng))
    label = condition_of(nets, batch)
    if nets.is_conditional:
        u = jax.vmap(jax.random.uniform)(fold_in(rng.keys, LABEL_DROPOUT_DRAW))
        label = with_some_hidden(nets, label, u < process.label_dropout)
    x, eps_keys = to_process(nets.spec, batch['x']), fold_in(rng.keys, EPS_DRAW)
    return weighted_error(nets, schedule, params['model'], x, t, eps_keys, label, process.weighting)


def condition_of_samples(nets: DenoiserNetworks, rng: Rng, condition: Batch | None) -> Condition:
    """Returns the condition of each sample, by default a random one of the training split."""
    if not nets.is_conditional:
        return None
    return condition_of(nets, requested(fold_in(rng.keys, LABEL_DRAW), condition, nets.spec))
