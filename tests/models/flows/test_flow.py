"""Normalizing flows: densities integrate to one, samples follow them, and runs resume."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from marks import exhaustive_but
from resuming import SETTINGS, assert_same, outcome, train
from support import (
    assembled,
    check_same_on_any_devices,
    few_of_test,
    first_batch,
    scattered,
    steps_on,
)

import train_lib
from atelier.applications import interpolate, sample
from atelier.core.abilities import Classify, Codes, LogProb, Sample
from atelier.core.randomness import Stream, key_for, rng_for
from atelier.data.conditions.numbers import Numbers
from atelier.data.dataset import Spec
from atelier.evaluation import evaluate
from atelier.run import restore
from models.autoregressive.made import MADE
from models.flows.bijectors import Chain, Reshaped
from models.flows.couplings import affine
from models.flows.data_bijectors import Logit
from models.flows.flow import flow
from models.flows.masked_autoregressive import MaskedAutoregressive

NAMES = ['realnvp', 'spline_flow', 'glow', 'maf', 'iaf']
QUICK = ('maf',)
LEVELS = 4


def rng_of(n, seed=0):
    return rng_for(jax.random.PRNGKey(seed), jnp.arange(n), n)


def of_points(tmp_path, name, **changes):
    """(family, weights) of a flow on 2-D points, with random weights in its all-zero layers."""
    run = assembled(tmp_path, name, 'eight_gaussians,debug', **changes)
    weights = jax.jit(run.family.init)(jax.random.PRNGKey(0), first_batch(run, 64))
    return run.family, weights._replace(params=scattered(weights.params))


@pytest.mark.parametrize(
    'name', [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in NAMES]
)
def test_densities_integrate_to_one_and_match_samples(tmp_path, name):
    """On a grid, each of sixteen cells holds the fraction of samples that the density predicts."""
    family, weights = of_points(tmp_path, name, model__scale_bound=0.5, model__steps=1)
    half, cells, n = 24.0, 480, 20_000
    ticks = (np.arange(cells) + 0.5) * 2 * half / cells - half
    x = jnp.asarray(np.stack(np.meshgrid(ticks, ticks, indexing='ij'), -1).reshape(-1, 2))
    nats = jax.jit(family.ability(LogProb).nats)(weights, {'x': x.astype(jnp.float32)}, rng_of(1))
    masses = np.exp(np.float64(nats)).reshape(cells, cells) * (2 * half / cells) ** 2
    np.testing.assert_allclose(masses.sum(), 1.0, atol=2e-3)
    samples = np.asarray(
        jax.jit(lambda w: family.ability(Sample).draw(w, rng_of(n), None))(weights)
    )
    borders = np.array([-half, -2.4, 0.0, 2.4, half])
    shares, _, _ = np.histogram2d(*samples.T, [borders, borders])
    cut = np.searchsorted(ticks, borders[:-1])
    expected = np.add.reduceat(np.add.reduceat(masses, cut, 0), cut, 1)
    np.testing.assert_allclose(shares / n, expected, atol=5 * np.sqrt(0.25 / n))


def of_levels(alpha):
    """(family, weights) of a flow on one dequantised dimension."""
    layer = MaskedAutoregressive(MADE((), 2), affine(2.0))
    spec = Spec((1,), None, None, dequantized_levels=LEVELS)
    family = flow(Chain((Logit(float(LEVELS), alpha), Reshaped((1,), (1,)), layer)), spec)
    weights = jax.jit(family.init)(jax.random.PRNGKey(0), {'x': jnp.ones((2, 1))})
    return family, weights._replace(params=scattered(weights.params))


def test_a_dequantised_density_has_all_its_mass_in_its_range():
    alpha, n = 0.1, 200_000
    family, weights = of_levels(alpha)
    margin = LEVELS * alpha / (1 - 2 * alpha)
    x = np.linspace(-margin, LEVELS + margin, n + 1)
    middles, width = (x[1:] + x[:-1]) / 2, x[1] - x[0]
    nats = jax.jit(family.ability(LogProb).nats)(
        weights, {'x': jnp.float32(middles)[:, None]}, rng_of(1)
    )
    masses = np.exp(np.float64(nats)) * width
    np.testing.assert_allclose(masses.sum(), 1.0, rtol=1e-3)
    beyond = jnp.asarray([[-margin - 0.1], [LEVELS + margin + 0.1]])
    assert (family.ability(LogProb).nats(weights, {'x': beyond}, rng_of(2)) == -np.inf).all()
    assert np.isfinite(family.ability(Codes).encode(weights, {'x': beyond}, rng_of(2))).all()
    samples = jax.jit(family.ability(Sample).draw)(weights, rng_of(1000), None)
    assert samples.min() >= 0 and samples.max() <= LEVELS


@pytest.mark.slow
def test_temperature_0_gives_the_mode(tmp_path):
    family, weights = of_points(tmp_path, 'realnvp', eval__sampler__temperature=0.0, model__steps=1)
    samples = jax.jit(family.ability(Sample).draw)(weights, rng_of(5), None)
    mode = jax.jit(family.ability(Codes).decode)(weights, jnp.zeros((1, 2)))
    np.testing.assert_allclose(samples, np.broadcast_to(mode, samples.shape), rtol=1e-5)
    assert (family.ability(Codes).prior(weights, rng_of(5)) == 0).all()


def test_temperature_scales_the_codes(tmp_path):
    half, _ = of_points(tmp_path, 'realnvp', eval__sampler__temperature=0.5, model__steps=1)
    whole, weights = of_points(tmp_path, 'realnvp', model__steps=1)
    codes, unscaled = (f.ability(Codes).prior(weights, rng_of(5)) for f in (half, whole))
    np.testing.assert_allclose(codes, 0.5 * unscaled, rtol=1e-6)


def test_actnorm_begins_with_the_moments_of_the_first_minibatch(tmp_path):
    """The last actnorm normalises the first minibatch's codes: couplings start as the identity."""
    run = assembled(tmp_path, 'glow')
    state = restore.initial_state(run)
    size = run.config.train.batch_size
    raw = {name: jnp.asarray(array[:size]) for name, array in run.data.splits['train'].items()}
    key = key_for(state.key, Stream.PREPROCESS)
    batch = run.data.preprocess(raw, rng_for(key, jnp.arange(size), size).keys)
    codes = jax.jit(run.family.ability(Codes).encode)(state.weights, batch, rng_of(size))
    assert codes.shape == (size, 64)
    coarsest = codes[:, :32].reshape(size, 4, 8)
    np.testing.assert_allclose(jnp.square(coarsest).mean(), 1.0, rtol=0.05)
    np.testing.assert_allclose(coarsest.mean(), 0.0, atol=0.05)


@pytest.mark.parametrize('name', exhaustive_but(('glow', 'maf'), NAMES))
def test_losses_do_not_depend_on_the_devices(tmp_path, name):
    run = assembled(tmp_path, name, 'eight_gaussians,debug')
    check_same_on_any_devices(*(steps_on(run, n, 5) for n in (1, 8)))


@pytest.mark.slow
def test_a_run_that_was_stopped_ends_as_one_that_was_not(tmp_path):
    """Resuming does not repeat the data-dependent initialization."""
    make = lambda folder: assembled(folder, 'glow', **SETTINGS)
    train(make(tmp_path / 'whole'))
    for stop in (10, 25, None):
        train(make(tmp_path / 'stopped'), stop)
    assert_same(outcome(make(tmp_path / 'stopped')), outcome(make(tmp_path / 'whole')))


@pytest.mark.parametrize('name', exhaustive_but(('realnvp',), NAMES))
def test_trained_evaluated_and_used(tmp_path, one_device, name):
    run = few_of_test(assembled(tmp_path, name), 40)
    train_lib.train(run)
    evaluation = evaluate.evaluate(run)
    assert evaluation['log_prob'] == 'exact for the density, an upper bound for the levels'
    assert evaluation['values']['bits_per_dim']['mean'] > 0
    assert evaluation['latents'] == {}
    x = sample.apply(run, num_samples=6)
    assert x.shape == (6, 8, 8, 1) and x.min() >= 0 and x.max() <= 17
    paths = interpolate.apply(run, num_pairs=1, num_points=3)
    assert np.isfinite(paths['x']).all()


@pytest.mark.parametrize(
    ('name', 'change', 'message'),
    [
        ('realnvp', dict(data__dequantize='none'), '--config.data.dequantize=uniform'),
        ('realnvp', dict(model__alpha=0.0), 'config.model.alpha=0.0'),
        ('realnvp', dict(model__scales=5), 'from 1 to 4'),
        ('realnvp', dict(model__scale_bound=0.0), 'config.model.scale_bound=0.0'),
        ('realnvp', dict(model__hidden_sizes=()), 'config.model.hidden_sizes'),
        ('spline_flow', dict(model__bins=1), 'config.model.bins=1'),
        ('spline_flow', dict(model__tail_bound=-1.0), 'config.model.tail_bound=-1.0'),
        ('glow', dict(model__transform='cubic'), 'config.model.transform'),
        ('glow', dict(model__steps=0), 'config.model.steps=0'),
        ('glow', dict(eval__sampler__temperature=-1.0), 'config.eval.sampler.temperature=-1.0'),
        ('maf', dict(model__direction='both'), 'config.model.direction'),
    ],
)
def test_bad_settings_end_in_one_line(tmp_path, complaint, name, change, message):
    assert message in complaint(assembled, tmp_path, name, **change)


def test_convolutions_of_points_are_refused(tmp_path, complaint):
    points = 'eight_gaussians,debug'
    line = complaint(assembled, tmp_path, 'realnvp', points, model__network='conv')
    assert 'has no images' in line


A = jnp.asarray([[1.0, -0.5, 0.3], [0.2, 0.8, -1.0]])  # x = A c + noise, c of three numbers
COVARIANCE = np.array([[0.5, 0.3], [0.3, 0.9]])
NUMBERS = Numbers(('a', 'b', 'c'), (0.0,) * 3, (1.0,) * 3, ((0.0, 0.0, 0.0), (1.0, -1.0, 2.0)))


def gaussian_linear():
    """(family, weights) of p(x | c) = N(A c, COVARIANCE), with weights that follow from both.

    z = M (x - A c), where the inverse of M is the Cholesky factor of the covariance: one layer of
    a MAF whose scales and shifts are linear.
    """
    bound, spec = 4.0, Spec((2,), None, None, condition=NUMBERS)
    family = flow(MaskedAutoregressive(MADE((), 2), affine(bound)), spec, is_conditional=True)
    weights = family.init(
        jax.random.PRNGKey(0), {'x': jnp.ones((2, 2)), 'condition': jnp.ones((2, 3))}
    )
    m = np.linalg.inv(np.linalg.cholesky(COVARIANCE))
    log_scales = bound * np.arctanh(np.log(np.diag(m)) / bound)
    kernel, to_outputs = np.zeros((2, 2, 2)), np.zeros((3, 2, 2))
    kernel[0, 1, 1], to_outputs[:, :, 1] = m[1, 0], -(m @ A).T
    direct = {'kernel': kernel.reshape(2, 4), 'bias': np.stack([log_scales, 0 * log_scales], 1)}
    network = {
        'direct': {**direct, 'bias': direct['bias'].ravel()},
        'condition_to_outputs': {'kernel': to_outputs.reshape(3, 4)},
    }
    shapes = jax.tree.map(jnp.shape, weights.params['model']['network'])
    network = jax.tree.map(jnp.float32, network)
    assert jax.tree.map(jnp.shape, network) == shapes
    return family, weights._replace(params={'model': {'network': network}})


def test_a_conditional_density_is_that_of_the_gaussian_that_its_weights_describe():
    family, weights = gaussian_linear()
    random = np.random.default_rng(0)
    x, c = random.normal(size=(20, 2)) * 2, random.normal(size=(20, 3))
    batch = {'x': jnp.float32(x), 'condition': jnp.float32(c)}
    nats = family.ability(LogProb).nats(weights, batch, rng_of(20))
    away = x - c @ np.asarray(A).T
    expected = scipy.stats.multivariate_normal([0, 0], COVARIANCE).logpdf(away)
    np.testing.assert_allclose(nats, expected, rtol=1e-4, atol=1e-4)
    codes = family.ability(Codes).encode(weights, batch, rng_of(20))
    np.testing.assert_allclose(codes[:, 2:], c, rtol=1e-6)
    np.testing.assert_allclose(family.ability(Codes).decode(weights, codes), x, atol=1e-4)
    assert family.ability(Codes).dims == (2,) and not family.ability(Codes).has_class


def test_samples_are_of_the_requested_condition():
    family, weights = gaussian_linear()
    draw, n = jax.jit(family.ability(Sample).draw), 20_000
    assert family.ability(Sample).reads_condition and family.ability(Classify) is None
    given = jnp.asarray([0.5, -1.0, 2.0])
    x = draw(weights, rng_of(n), {'condition': jnp.broadcast_to(given, (n, 3))})
    np.testing.assert_allclose(x.mean(0), A @ given, atol=0.03)
    np.testing.assert_allclose(np.cov(x.T), COVARIANCE, atol=0.03)
    of_training = draw(weights, rng_of(n), None)  # one of the two examples
    expected = np.mean([A @ np.asarray(each) for each in NUMBERS.examples], 0)
    np.testing.assert_allclose(of_training.mean(0), expected, atol=0.05)


@pytest.mark.parametrize('name', exhaustive_but(('glow', 'spline_flow'), NAMES, QUICK))
def test_each_class_has_a_density_of_its_own(tmp_path, name):
    """It integrates to one, and Bayes' rule compares the densities of the classes."""
    changes = dict(model__scale_bound=0.5, model__steps=1, model__is_conditional=True)
    family, weights = of_points(tmp_path, name, **changes)
    half, cells = 24.0, 240
    ticks = (np.arange(cells) + 0.5) * 2 * half / cells - half
    x = np.float32(np.stack(np.meshgrid(ticks, ticks, indexing='ij'), -1).reshape(-1, 2))
    of = jax.jit(
        lambda x, label: family.ability(LogProb).nats(
            weights, {'x': x, 'label': jnp.full(len(x), label)}, rng_of(1)
        )
    )
    nats = np.stack([of(x, label) for label in (0, 5)])
    masses = np.exp(np.float64(nats)) * (2 * half / cells) ** 2
    np.testing.assert_allclose(masses.sum(-1), 1.0, atol=5e-3)
    assert np.abs(masses[0] - masses[1]).sum() > 0.02
    logits = family.ability(Classify).logits(weights, {'x': jnp.asarray(x[::577])}, rng_of(1))
    np.testing.assert_allclose(logits[:, [0, 5]].T, nats[:, ::577], rtol=1e-4, atol=1e-4)
    codes = family.ability(Codes)
    given = {'x': jnp.asarray(x[::577]), 'label': jnp.full(len(x[::577]), 5)}
    encoded = codes.encode(weights, given, rng_of(1))
    np.testing.assert_array_equal(encoded[:, 2:], np.eye(8)[given['label']])
    assert codes.has_class and codes.dims == (2,)
    np.testing.assert_allclose(codes.decode(weights, encoded), given['x'], rtol=1e-3, atol=1e-3)


def test_a_conditional_flow_of_data_without_a_condition_is_refused(tmp_path, complaint):
    line = complaint(assembled, tmp_path, 'maf', 'checkerboard,debug', model__is_conditional=True)
    assert line.endswith('checkerboard has no labels and no condition')
