"""The diffusion family on Gaussian data, with known optimal denoiser, entropy and scores.

A network that returns the exact mean of x stands in for a perfectly trained one.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from marks import exhaustive_but
from support import assembled, check_same_on_any_devices, first_batch, steps_on

from atelier.core import devices as device_lib
from atelier.core import train_step
from atelier.core.abilities import Codes, Denoise, LogProb, Sample, Trajectory
from atelier.core.randomness import rng_for
from atelier.data.dataset import Spec
from atelier.evaluation.samples.sampling import sampler
from atelier.run import restore
from models.diffusion.denoiser import (
    DenoiserNetworks,
    as_data,
    data_std,
    denoiser,
    from_process,
    process_per_normalized,
    to_process,
)
from models.diffusion.diffusion import Likelihood, Process, diffusion
from models.diffusion.learned_schedule import MonotoneHalfLogSnr, learned
from models.diffusion.process import (
    predictions,
    samplers,
    schedules,
    time_grids,
    time_sampling,
    weightings,
)
from models.diffusion.sampling import Sampling

slow = lambda *values: [pytest.param(value, marks=pytest.mark.slow) for value in values]

STD, CENTRE, DIMS = 0.6, 0.7, 2  # two classes N(-CENTRE, STD^2) and N(CENTRE, STD^2) on each axis


class Exact(nn.Module):
    """The exact output for a prediction kind, from E[x | x_t, label]; label 2 means any class."""

    centres: tuple[float, ...]
    kind: predictions.Prediction = predictions.X
    data_std: float = 1.0  # `output_of` scales x_t by it
    is_straight: bool = False

    @nn.compact
    def __call__(self, x, half_log_snr, label=None):
        self.param('unused', nn.initializers.zeros, ())
        share = lambda sign: jax.nn.sigmoid(sign * (2 - self.is_straight) * half_log_snr)[:, None]
        alpha, sigma = share(1), share(-1)
        if not self.is_straight:
            alpha, sigma = jnp.sqrt(alpha), jnp.sqrt(sigma)
        x_t = x * jnp.sqrt((alpha * self.data_std) ** 2 + sigma**2)
        mean = self.mean(x_t, alpha, sigma, label)
        return self.kind.target(mean, (x_t - alpha * mean) / sigma, alpha, sigma)

    def mean(self, x_t, alpha, sigma, label):
        centres = jnp.asarray(self.centres)[:, None, None]
        variance = (alpha * STD) ** 2 + sigma**2
        difference = x_t - alpha * centres
        means = centres + alpha * STD**2 / variance * difference
        share = jax.nn.softmax(jnp.sum(-0.5 * difference**2 / variance, -1), 0)
        marginal_mean = jnp.sum(share[..., None] * means, 0)
        if label is None:
            return marginal_mean
        means_with_marginal = jnp.concatenate([means, marginal_mean[None]])
        return jnp.take_along_axis(means_with_marginal, label[None, :, None], 0)[0]


def family(
    num_times=50,
    schedule=None,
    centres=(0.0,),
    is_conditional=False,
    kind_of=predictions.X,
    spec=None,
    is_straight=False,
    **likelihood,
):
    spec = spec or Spec((DIMS,), None, len(centres) if is_conditional else None)
    network = Exact(centres, kind_of, data_std(spec), is_straight)
    nets = DenoiserNetworks(network, kind_of, spec, is_conditional)
    schedule = schedule or schedules.log_linear()
    options = dict(kind='bound', num_times=num_times, ode_steps=50, ode_probes=0) | likelihood
    sampling = Sampling(samplers.dpm_solver_pp_2m, time_grids.uniform_half_log_snr, 50, 1.0, False)
    return diffusion(
        nets, Process(schedule, None, time_sampling.uniform), sampling, Likelihood(**options)
    ), nets


BOUND = Likelihood('bound', 1, 1, 0)


def rng_of(n, seed=0):
    return rng_for(jax.random.PRNGKey(seed), jnp.arange(n), n)


def expected_bound(schedule):
    """Exact negative bound in nats of N(0, STD^2) with the optimal denoiser, from float64 sums."""
    with jax.enable_x64(True):
        if schedule.num_steps:
            t = jnp.arange(1, schedule.num_steps + 1) / schedule.num_steps
        else:
            ends = schedule.half_log_snr(jnp.asarray([schedule.first, schedule.last]))
            t = schedule.time(jnp.linspace(*ends, 100_001))
        alpha, sigma = np.asarray(schedule.alpha(t)), np.asarray(schedule.sigma(t))
    snr, error = (alpha / sigma) ** 2, (STD * sigma) ** 2 / ((STD * alpha) ** 2 + sigma**2)
    step_errors = error[1:] if schedule.num_steps else 0.5 * (error[1:] + error[:-1])
    last = alpha[-1] ** 2 + sigma[-1] ** 2
    variance_ratio = (alpha[-1] ** 2 * STD**2 + sigma[-1] ** 2) / last
    prior = 0.5 * (variance_ratio - 1 - np.log(sigma[-1] ** 2 / last))
    first = 0.5 * np.log(2 * np.pi * np.e * (sigma[0] / alpha[0]) ** 2)
    return DIMS * (prior + first + 0.5 * np.sum((snr[:-1] - snr[1:]) * step_errors))


@pytest.mark.parametrize('name', ['log_linear', *slow('linear', 'discrete', 'straight')])
def test_the_bound_of_the_best_denoiser(name):
    """The closed form for N(0, STD^2), which in continuous time is the entropy."""
    n, schedule = 4000, getattr(schedules, name)()
    ours, _ = family(num_times=64, schedule=schedule, is_straight=name == 'straight')
    x = jnp.asarray(STD * np.random.default_rng(0).normal(size=(n, DIMS)), jnp.float32)
    weights = jax.jit(ours.init)(jax.random.PRNGKey(0), {'x': x})
    nats = -np.asarray(jax.jit(ours.ability(LogProb).nats)(weights, {'x': x}, rng_of(n)))
    expected = expected_bound(schedule)
    assert abs(nats.mean() - expected) < 4 * nats.std() / n**0.5
    entropy = DIMS * 0.5 * np.log(2 * np.pi * np.e * STD**2)
    assert entropy < expected < entropy + (1.0 if schedule.num_steps else 0.02)


def test_the_terms_add_up_to_the_bound():
    ours, _ = family(num_times=1)
    batch = {'x': jnp.ones((3, DIMS))}
    weights = jax.jit(ours.init)(jax.random.PRNGKey(0), batch)
    terms = jax.jit(ours.metrics)(weights, batch, rng_of(3))
    parts = terms['prior_nats'] + terms['reconstruction_nats'] + terms['diffusion_nats']
    np.testing.assert_allclose(terms['elbo_nats'], -parts, rtol=1e-6)
    nats = jax.jit(ours.ability(LogProb).nats)(weights, batch, rng_of(3))
    np.testing.assert_allclose(nats, -parts, rtol=1e-6)
    assert ours.ability(LogProb).description == 'lower bound, 1 time'


UNITS = {
    'standardised': (Spec((DIMS,), None, None, mean=1.0, std=3.0), lambda u: 1 + 3 * u, 3.0),
    'dequantised': (Spec((DIMS,), None, None, 16), lambda u: 8 * (u + 1), 8.0),
}


@pytest.mark.parametrize(
    ('name', 'kind'),
    [
        ('standardised', 'bound'),
        pytest.param('dequantised', 'ode', marks=pytest.mark.slow),
        pytest.param('standardised', 'ode', marks=pytest.mark.slow),
        pytest.param('dequantised', 'bound', marks=pytest.mark.slow),
    ],
)
def test_nats_are_those_of_the_data_as_given(name, kind):
    """Rescaling the data shifts nats by the log of the factor, whatever the network predicts."""
    spec, to_data_units, process_per_normalized = UNITS[name]
    u = jnp.asarray(0.3 * np.random.default_rng(0).normal(size=(20, DIMS)), jnp.float32)
    nats = []
    for x, ours in ((u, family(kind=kind)[0]), (to_data_units(u), family(kind=kind, spec=spec)[0])):
        weights = jax.jit(ours.init)(jax.random.PRNGKey(0), {'x': x})
        nats.append(jax.jit(ours.ability(LogProb).nats)(weights, {'x': x}, rng_of(20)))
    np.testing.assert_allclose(nats[0] - nats[1], DIMS * np.log(process_per_normalized), atol=0.02)


@pytest.mark.parametrize('kind_of', [*slow('eps'), 'v'])
def test_the_bound_is_the_same_for_every_prediction_kind(kind_of):
    x = jnp.asarray(STD * np.random.default_rng(0).normal(size=(20, DIMS)), jnp.float32)
    nats = []
    for prediction in (predictions.X, predictions.PREDICTIONS[kind_of]):
        ours, _ = family(num_times=8, kind_of=prediction)
        weights = jax.jit(ours.init)(jax.random.PRNGKey(0), {'x': x})
        nats.append(jax.jit(ours.ability(LogProb).nats)(weights, {'x': x}, rng_of(20)))
    np.testing.assert_allclose(*nats, atol=0.05)


def test_the_ode_gives_the_density():
    ours, _ = family(kind='ode')
    x = jnp.asarray(STD * np.random.default_rng(0).normal(size=(20, DIMS)), jnp.float32)
    weights = jax.jit(ours.init)(jax.random.PRNGKey(0), {'x': x})
    nats = jax.jit(ours.ability(LogProb).nats)(weights, {'x': x}, rng_of(20))
    exact = jax.scipy.stats.norm.logpdf(x, scale=STD).sum(-1)
    np.testing.assert_allclose(nats, exact, atol=0.02)
    assert ours.ability(LogProb).description == 'estimate, 50 steps, exact divergence'
    coarser = jax.jit(ours.ability(LogProb).coarser)(weights, {'x': x}, rng_of(20))
    half, _ = family(kind='ode', ode_steps=25)
    half_steps_nats = jax.jit(half.ability(LogProb).nats)(weights, {'x': x}, rng_of(20))
    np.testing.assert_array_equal(coarser, half_steps_nats)
    assert np.abs(coarser - nats).min() > 0


@pytest.mark.parametrize('guidance', [*slow(0.0), 3.0])
def test_guidance_is_the_tilted_score(guidance):
    """The score of p(x_t) (p(x_t | class) / p(x_t))^guidance, by automatic differentiation."""
    centres, schedule = (-CENTRE, CENTRE), schedules.cosine()
    _, nets = family(centres=centres, is_conditional=True)
    x_t, t = jax.random.normal(jax.random.PRNGKey(0), (30, DIMS)), jnp.linspace(0.1, 0.9, 30)
    label = jnp.arange(30) % 2
    weights = {'unused': jnp.zeros(())}
    mean = jax.jit(denoiser(nets, schedule, weights, label, guidance))(x_t, t)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)

    def log_tilted(x, alpha, sigma, label):
        std = jnp.sqrt((alpha * STD) ** 2 + sigma**2)
        class_log_probs = jnp.stack(
            [jax.scipy.stats.norm.logpdf(x, alpha * c, std).sum() for c in centres]
        )
        log_marginal = jax.nn.logsumexp(class_log_probs) - jnp.log(2.0)
        return log_marginal + guidance * (class_log_probs[label] - log_marginal)

    score = jax.jit(jax.vmap(jax.grad(log_tilted)))(x_t, alpha, sigma, label)
    ours = (alpha[:, None] * mean - x_t) / sigma[:, None] ** 2
    np.testing.assert_allclose(ours, score, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_the_mean_stays_within_the_interval_of_the_data():
    """Clips the guided mean, which would leave the interval, if the interval is known."""
    label, weights = jnp.arange(30) % 2, {'unused': jnp.zeros(())}
    x_t, t = jax.random.normal(jax.random.PRNGKey(0), (30, DIMS)), jnp.linspace(0.1, 0.9, 30)
    for levels in (16, None):
        spec = Spec((DIMS,), levels, 2)
        _, nets = family(centres=(-CENTRE, CENTRE), is_conditional=True, spec=spec)
        unclipped, clipped = (
            denoiser(nets, schedules.cosine(), weights, label, 9.0, clip)(x_t, t)
            for clip in (False, True)
        )
        assert jnp.abs(unclipped).max() > 2
        np.testing.assert_array_equal(clipped, jnp.clip(unclipped, -1, 1) if levels else unclipped)


@pytest.mark.parametrize('label', [0, *slow(1)])
def test_samples_of_a_class_are_its_gaussian(label):
    ours, _ = family(schedule=schedules.linear(), centres=(-CENTRE, CENTRE), is_conditional=True)
    batch = {'x': jnp.ones((1, DIMS)), 'label': jnp.zeros(1, jnp.int32)}
    weights = jax.jit(ours.init)(jax.random.PRNGKey(0), batch)
    condition = {'label': jnp.full(4000, label)}
    x = np.asarray(jax.jit(ours.ability(Sample).draw)(weights, rng_of(4000), condition))
    np.testing.assert_allclose(x.mean(0), (2 * label - 1) * CENTRE, atol=4 * STD / 4000**0.5 + 0.01)
    np.testing.assert_allclose(x.std(0), STD, atol=4 * STD / 8000**0.5 + 0.01)


# Denoising and codes


def conditional_family(**more):
    ours, _ = family(
        schedule=schedules.cosine(), centres=(-CENTRE, CENTRE), is_conditional=True, **more
    )
    batch = {'x': jnp.ones((1, DIMS)), 'label': jnp.zeros(1, jnp.int32)}
    return ours, ours.init(jax.random.PRNGKey(0), batch)


@pytest.mark.slow
def test_a_trajectory_ends_in_the_sample():
    ours, weights = conditional_family()
    condition = {'label': jnp.arange(6) % 2}
    x_t, x = jax.jit(ours.ability(Trajectory).steps)(weights, rng_of(6), condition)
    assert x_t.shape == x.shape == (6, 50, DIMS)
    np.testing.assert_allclose(
        x[:, -1], ours.ability(Sample).draw(weights, rng_of(6), condition), rtol=1e-4
    )
    assert np.abs(x_t[:, -1] - x[:, -1]).max() < 0.1 < np.abs(x_t[:, 0] - x[:, 0]).max()


@pytest.mark.slow
@pytest.mark.parametrize('spec', [Spec((DIMS,), None, 2), *slow(Spec((DIMS,), None, 2, 16))])
def test_in_one_step_it_denoises_to_the_mean(spec):
    """The mean shrinks to the centre by STD^2 / (STD^2 + s^2) in data units, with s per row."""
    nets = DenoiserNetworks(
        Exact((-CENTRE, CENTRE), data_std=data_std(spec)), predictions.X, spec, True
    )
    one = Sampling(samplers.ddim, time_grids.uniform_half_log_snr, 1, 1.0, False)
    ours = diffusion(nets, Process(schedules.cosine(), None, time_sampling.uniform), one, BOUND)
    x, label = jnp.asarray([[0.3, -0.2], [-0.8, 0.1]]), jnp.asarray([0, 1])
    s = jnp.asarray([0.2, 0.9])
    batch = {'x': from_process(spec, x), 'label': label, 'noise_std': s}  # between levels
    gain = STD**2 / (STD**2 + (process_per_normalized(spec) * s[:, None]) ** 2)
    centre = jnp.asarray([[-CENTRE], [CENTRE]])
    expected = from_process(spec, centre + gain * (x - centre))
    weights = jax.jit(ours.init)(jax.random.PRNGKey(0), batch)
    np.testing.assert_allclose(
        jax.jit(ours.ability(Denoise).clean)(weights, batch, rng_of(2)), expected, rtol=1e-3
    )


@pytest.mark.slow
@pytest.mark.parametrize('sampler', [samplers.ddim, *slow(samplers.dpm_solver_pp_2m)])
def test_in_many_steps_it_draws_from_the_posterior(sampler):
    """N(0, STD^2) with noise 0.5, in 200 ancestral steps whatever the configured sampler."""
    spec, s, n = Spec((1,), None, None), 0.5, 4000
    nets = DenoiserNetworks(Exact((0.0,), predictions.X, data_std(spec)), predictions.X, spec)
    many = Sampling(sampler, time_grids.uniform_half_log_snr, 200, 1.0, False)
    ours = diffusion(nets, Process(schedules.cosine(), None, time_sampling.uniform), many, BOUND)
    batch = {'x': jnp.full((n, 1), 1.0), 'noise_std': jnp.full(n, s)}
    weights = jax.jit(ours.init)(jax.random.PRNGKey(0), batch)
    samples = jax.jit(ours.ability(Denoise).clean)(weights, batch, rng_of(n))
    gain = STD**2 / (STD**2 + s**2)
    np.testing.assert_allclose(samples.mean(), gain, atol=0.02)
    np.testing.assert_allclose(samples.std(), gain**0.5 * s, rtol=0.05)


@pytest.mark.slow
def test_codes_decode_to_x():
    """Codes are normal quantiles, (x - centre) / STD for a Gaussian, then the one-hot class."""
    ours, weights = conditional_family()
    x, label = STD * jax.random.normal(jax.random.PRNGKey(0), (8, DIMS)), jnp.arange(8) % 2
    x += jnp.where(label[:, None] == 0, -CENTRE, CENTRE)
    batch = {'x': x, 'label': label}
    codes = jax.jit(ours.ability(Codes).encode)(weights, batch, rng_of(8))
    centre = jnp.where(label[:, None] == 0, -CENTRE, CENTRE)
    np.testing.assert_allclose(codes[:, :DIMS], (x - centre) / STD, atol=0.03)
    np.testing.assert_array_equal(codes[:, DIMS:], jax.nn.one_hot(label, 2))
    decode = jax.jit(ours.ability(Codes).decode)
    np.testing.assert_allclose(decode(weights, codes), x, atol=1e-3)
    prior = jax.eval_shape(ours.ability(Codes).prior, weights, rng_of(8))
    assert prior.shape == codes.shape
    assert ours.ability(Trajectory).evaluations == 50
    unconditional_x = decode(weights, codes.at[:, DIMS:].set(0.0))
    assert np.abs(unconditional_x - x).max() > 0.1


# The learned schedule


@pytest.mark.slow
@pytest.mark.parametrize('seed', range(2))
def test_a_learned_schedule_keeps_its_ends_and_falls(seed):
    """Holds for any weights."""
    module = MonotoneHalfLogSnr(6.65, -2.5)
    params = jax.jit(module.init)(jax.random.PRNGKey(seed), jnp.zeros(1))['params']
    params = jax.tree.map(
        lambda p: p + 5 * jax.random.normal(jax.random.PRNGKey(seed), p.shape), params
    )
    schedule, t = learned(module, params), jnp.linspace(0.0, 1.0, 201)
    half_log_snr = schedule.half_log_snr(t)
    np.testing.assert_allclose(half_log_snr[jnp.array([0, -1])], [6.65, -2.5], rtol=1e-5)
    assert np.all(np.diff(half_log_snr) < 0)
    np.testing.assert_allclose(schedule.alpha(t) ** 2 + schedule.sigma(t) ** 2, 1.0, rtol=1e-5)
    recovered = schedule.half_log_snr(schedule.time(half_log_snr))
    np.testing.assert_allclose(recovered, half_log_snr, atol=1e-3)


@pytest.mark.slow
def test_the_schedules_player_descends_the_squared_error(tmp_path):
    """The schedule's gradient is that of its own loss alone."""
    changes = dict(model__schedule='learned', model__weighting='bound', model__prediction='eps')
    run = assembled(tmp_path, 'diffusion', 'grid,debug', **changes)
    (_, report), *_ = steps_on(run, 1, 1)
    assert {'loss', 'loss_schedule'} <= set(report) and report['loss_schedule'] >= 1.0
    batch = first_batch(run, 48)
    weights = run.family.init(jax.random.PRNGKey(0), batch)
    (turn,) = run.family.turns
    gradients = train_step.gradients_of_turn(turn, weights, batch, rng_of(48), 0, {}).gradients

    def squared(schedule):
        changed_weights = weights._replace(params={**weights.params, 'schedule': schedule})
        return turn.loss(changed_weights, batch, rng_of(48), 0, {})[0]['schedule']

    expected_gradients = jax.grad(squared)(weights.params['schedule'])
    jax.tree.map(np.testing.assert_allclose, gradients['schedule'], expected_gradients)
    assert any(np.any(g != 0) for g in jax.tree.leaves(expected_gradients))


# Weightings


@pytest.mark.slow
@pytest.mark.parametrize('name', [*slow('cosine'), 'straight'])
def test_the_bound_does_not_depend_on_where_its_times_lie(name):
    """Quadrature in t and in log-SNR agree for an error that depends only on the noise level."""
    schedule = getattr(schedules, name)()
    error = lambda t: 1.0 / (1.0 + weightings.snr(schedule, t)) ** 1.5
    u = (jnp.arange(400_000) + 0.5) / 400_000
    by_time = time_sampling.uniform(schedule, u)
    first = np.mean(np.float64(weightings.bound(schedule, by_time) * error(by_time)))
    by_level = time_sampling.uniform_half_log_snr(schedule, u)
    weight = weightings.bound_by_half_log_snr(schedule, by_level)
    np.testing.assert_allclose(np.mean(np.float64(weight * error(by_level))), first, rtol=1e-2)


@pytest.mark.slow
def test_the_bound_of_many_steps_is_that_of_continuous_time():
    steps = schedules.discrete(1000)
    error = lambda t: 1.0 / (1.0 + weightings.snr(steps, t)) ** 2
    t = jnp.arange(1, 1001) / 1000
    for_training = weightings.bound_for_training(steps, t)
    np.testing.assert_array_equal(for_training[1:], weightings.bound(steps, t)[1:])
    assert for_training[0] == for_training[1] > weightings.bound(steps, t)[0] == 0
    in_steps = np.mean(weightings.bound(steps, t) * error(t))
    continuous = time_sampling.uniform_half_log_snr(steps, (jnp.arange(4000) + 0.5) / 4000)
    weight = weightings.bound_by_half_log_snr(steps, continuous)
    np.testing.assert_allclose(in_steps, np.mean(weight * error(continuous)), rtol=0.02)


def test_truncation_and_unit_output():
    schedule, t = schedules.cosine(), jnp.linspace(0.1, 0.9, 9)
    truncated = weightings.truncated_snr(5.0)(schedule, t)
    np.testing.assert_allclose(truncated, np.minimum(weightings.snr(schedule, t), 5.0))
    edm = predictions.preconditioned(0.5)
    scale = edm.scale(schedule.alpha(t), schedule.sigma(t))
    np.testing.assert_allclose(weightings.unit_output(0.5)(schedule, t) * scale**2, 1.0, rtol=1e-5)


# Guarantees of every family


RECIPES = {
    'v': {},
    'ddpm': dict(model__schedule='discrete', model__prediction='eps', model__weighting='min_snr'),
    'flow': dict(model__schedule='straight', model__prediction='velocity'),
    'edm': dict(model__prediction='edm', model__weighting='edm', model__times='log_normal'),
    'simple': dict(model__schedule='discrete_cosine', model__weighting='simple'),
}


@pytest.mark.parametrize('name', exhaustive_but(('ddpm', 'edm'), RECIPES))
def test_losses_do_not_depend_on_the_devices(tmp_path, name):
    run = assembled(tmp_path, 'diffusion', 'moons,debug', **RECIPES[name])
    check_same_on_any_devices(*(steps_on(run, n, 5) for n in (1, 8)))


@pytest.mark.slow
def test_the_schedules_loss_is_that_of_the_whole_batch(tmp_path):
    """Eight devices agree with one up to rounding in second derivatives."""
    changes = dict(model__schedule='learned', model__weighting='bound')
    run = assembled(tmp_path, 'diffusion', 'moons,debug', **changes)
    losses = [
        [[report[name] for name in ('loss', 'loss_schedule')] for _, report in steps_on(run, n, 3)]
        for n in (1, 8)
    ]
    np.testing.assert_allclose(*losses, rtol=1e-4)


@pytest.mark.slow
def test_samples_do_not_depend_on_the_devices(tmp_path):
    """Eight devices draw the same initial noise, and the same noise in every step, as one."""
    changes = dict(eval__sampler__name='ancestral', eval__sampler__steps=8)
    run = assembled(tmp_path, 'diffusion', 'moons,debug', **changes)
    host = jax.tree.map(np.asarray, restore.initial_state(run))
    samples = [
        sampler(run, devices)(device_lib.place(host, devices), jax.random.PRNGKey(3), 50)
        for devices in (jax.devices()[:1], jax.devices()[:8])
    ]
    np.testing.assert_allclose(*samples, rtol=1e-4, atol=1e-4)
    assert len(np.unique(samples[0], axis=0)) == 50


def test_times_are_spread_over_the_global_batch():
    whole = rng_of(48)
    u = time_sampling.spread_over_batch(whole)
    assert np.all(np.diff(np.sort(u)) > 0.9 / 48)
    part = whole.replace(rows=whole.rows[24:], keys=whole.keys[24:])
    np.testing.assert_array_equal(time_sampling.spread_over_batch(part), u[24:])


@pytest.mark.parametrize('levels', [None, 17])
def test_process_units_convert_back_to_data_units(levels):
    spec = Spec((4,), levels, None, mean=1.0, std=3.0)
    x = jnp.asarray([[0.0, 3.0, 16.0, 7.0]])
    np.testing.assert_allclose(from_process(spec, to_process(spec, x)), x, rtol=1e-6)
    restored = as_data(spec, to_process(spec, x) + 0.05)
    np.testing.assert_allclose(restored, x if levels else x + 0.05 * 3.0, rtol=1e-6)
    if levels:
        assert to_process(spec, x).min() == -1.0 and to_process(spec, x).max() == 1.0


@pytest.mark.slow
def test_simple_weighting_is_the_error_of_eps(tmp_path):
    """For a network that predicts eps, weighting 'simple' equals weighting 'output'."""
    losses = {}
    for weighting in ('simple', 'output'):
        changes = dict(model__prediction='eps', model__weighting=weighting)
        run = assembled(tmp_path, 'diffusion', 'moons,debug', **changes)
        (_, report), *_ = steps_on(run, 1, 1)
        losses[weighting] = report['loss']
    assert losses['simple'] == pytest.approx(losses['output'], rel=1e-4)


@pytest.mark.parametrize('guidance', [np.inf, np.nan])
def test_guidance_is_finite(tmp_path, complaint, guidance):
    changes = dict(eval__sampler__guidance=float(guidance))
    assert 'a finite number, at least 0' in complaint(assembled, tmp_path, 'diffusion', **changes)


@pytest.mark.parametrize(
    ('name', 'network'), [('diffusion', dict(model__network='unet')), ('dit', {})]
)
@pytest.mark.parametrize('patch', [0, 9])
def test_a_patch_is_part_of_an_image(tmp_path, complaint, name, network, patch):
    changes = dict(model__patch=patch, **network)
    assert f'config.model.patch={patch}' in complaint(assembled, tmp_path, name, **changes)


@pytest.mark.parametrize('field', ['steps=0', 'resamples=0', 'guidance=-1.0', 'name=dim', 'grid=x'])
def test_bad_sampler_settings_end_in_one_line(tmp_path, complaint, field):
    name, value = field.split('=')
    value = type({'steps': 0, 'resamples': 0, 'guidance': 0.0}.get(name, ''))(value)
    message = complaint(
        assembled, tmp_path, 'diffusion', 'digits,debug', **{f'eval__sampler__{name}': value}
    )
    assert f'config.eval.sampler.{name}' in message


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(eval__sampler__guidance=2.0), 'this model is unconditional'),
        (
            dict(model__schedule='discrete', eval__sampler__steps=1001),
            'the 1000 steps of the discrete process',
        ),
        (dict(model__schedule='learned'), "needs config.model.weighting='bound'"),
        (dict(model__label_dropout=1.5), 'must be a share'),
        (dict(model__schedule='discrete', model__times='log_normal'), 'needs config.model.times'),
        (dict(model__noise_factor=0.0), 'config.model.noise_factor=0.0'),
        (dict(model__noise_factor=2.0, model__schedule='straight'), 'needs config.model.schedule='),
        (dict(model__schedule='exploding'), "needs config.model.times='log_normal'"),
        (dict(model__network='unet', model__attention=(3,)), 'resolutions from 0 to 1'),
        (dict(eval__likelihood='ode', eval__ode_steps=0), 'eval.ode_steps'),
        (dict(model__prediction='noise'), "'eps'"),
        (dict(eval__sampler__eta=0.5), 'for --config.eval.sampler.name=ddim'),
        (dict(eval__sampler__name='ddim', eval__sampler__eta=1.5), 'give 0 (no noise) to 1'),
        (dict(eval__sampler__churn=5.0), 'for --config.eval.sampler.name=heun'),
        (dict(model__network='mlp', model__num_waves=3), 'give an even number'),
    ],
)
def test_incompatible_settings_end_in_one_line(tmp_path, complaint, changes, message):
    assert message in complaint(assembled, tmp_path, 'diffusion', 'checkerboard,debug', **changes)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(model__label_dropout=1.0), 'hides every label'),
        (dict(model__label_dropout=0.0, data__without_classes=(9,)), 'get the null label'),
    ],
)
def test_labels_and_the_null_label_must_be_trained(tmp_path, complaint, changes, message):
    assert message in complaint(assembled, tmp_path, 'diffusion', **changes)


def test_guidance_needs_label_dropout(tmp_path, complaint):
    changes = dict(model__label_dropout=0.0, eval__sampler__guidance=2.0)
    assert 'label_dropout above 0' in complaint(assembled, tmp_path, 'diffusion', **changes)


def test_a_density_of_levels_is_refused(tmp_path, complaint):
    message = complaint(assembled, tmp_path, 'diffusion', 'digits,debug', eval__likelihood='ode')
    assert '17 levels' in message and 'dequantize=uniform' in message
