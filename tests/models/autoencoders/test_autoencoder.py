"""The autoencoder family against PCA, `jax.jacfwd` and networks with known errors."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from support import assembled, check_same_on_any_devices, steps_on

from atelier.core import train_step
from atelier.core.abilities import Codes, LogProb, Reconstruct, Sample
from atelier.core.randomness import rng_for
from atelier.core.types import Weights
from atelier.data.corruption import gaussian, masking
from atelier.data.dataset import Spec
from models.autoencoders import autoencoder as models
from models.autoencoders.autoencoder import AutoencoderParts, autoencoder, contraction_penalties
from models.autoencoders.networks import Pair, TiedMLP
from models.nets import mlp

LATENT, DIMS = 2, 5
REAL = Spec((DIMS,), None, None, mean=(1.0, 0.0, -2.0, 0.5, 0.0), std=(2.0, 1.0, 0.5, 1.0, 3.0))
HYPERS = {'corruption': jnp.float32(0.3), 'contraction': jnp.float32(0.7)}


def linear(**rules):
    net = Pair(mlp.MLP((), (LATENT,)), mlp.MLP((), (DIMS,)))
    return autoencoder(AutoencoderParts(net, REAL, 'squared_error', **rules))


def rng_of(n, seed=0):
    return rng_for(jax.random.PRNGKey(seed), jnp.arange(n), n)


def parts_of(spec=REAL, loss='squared_error', tied=False, **rules):
    """Small nonlinear networks."""
    if tied:
        net = TiedMLP((6, 4), 3, spec.event_shape, nn.tanh, nn.sigmoid)
    else:
        net = Pair(mlp.MLP((6,), (3,), nn.tanh), mlp.MLP((6,), spec.event_shape, nn.tanh))
    return AutoencoderParts(net, spec, loss, **rules)


def loss_of(family, weights, batch, rng, hypers=HYPERS):
    losses, (_, report) = family.turns[0].loss(weights, batch, rng, 0, hypers)
    return losses['model'], report


# The linear autoencoder is PCA


@pytest.fixture(scope='module')
def data_and_pca():
    """(data in original units, their PCA, half of PCA's squared error per normalized example)."""
    from sklearn.decomposition import PCA

    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, DIMS)) @ rng.normal(size=(DIMS, DIMS)) + 1
    normalized = np.asarray(REAL.normalize(jnp.float32(x)), np.float64)
    pca = PCA(LATENT).fit(normalized)
    residual = normalized - pca.inverse_transform(pca.transform(normalized))
    return jnp.float32(x), pca, 0.5 * np.sum(residual**2, 1)


def test_with_pca_components_the_error_is_that_of_pca(data_and_pca):
    x, pca, pca_error = data_and_pca
    components, mean = pca.components_, pca.mean_
    dense = lambda kernel, bias: {'Dense_0': {'kernel': kernel, 'bias': bias}}
    tree = {
        'encoder': dense(components.T, -mean @ components.T),
        'decoder': dense(components, mean),
    }
    weights = Weights({'model': jax.tree.map(jnp.float32, tree)}, {'model': {}})
    values = jax.jit(linear().metrics)(weights, {'x': x}, rng_of(len(x)))
    np.testing.assert_allclose(values['squared_error'], pca_error, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_training_reaches_the_error_of_pca(data_and_pca):
    """Baldi and Hornik (1989): PCA is the only minimum; all other critical points are saddles."""
    x, _, pca_error = data_and_pca
    family, rule = linear(), optax.adam(optax.cosine_decay_schedule(3e-2, 3000))
    start = jax.jit(family.init)(jax.random.PRNGKey(0), {'x': x})

    def step(carry, _):
        params, opt = carry
        weights = start._replace(params=params)
        played = train_step.gradients_of_turn(
            family.turns[0], weights, {'x': x}, rng_of(len(x)), 0, HYPERS
        )
        update, opt = rule.update(played.gradients, opt, params)
        return (optax.apply_updates(params, update), opt), None

    (params, _), _ = jax.jit(lambda c: jax.lax.scan(step, c, None, 3000))(
        (start.params, rule.init(start.params))
    )
    values = jax.jit(family.metrics)(start._replace(params=params), {'x': x}, rng_of(len(x)))
    error = np.mean(values['squared_error'])
    assert pca_error.mean() - 1e-4 < error < pca_error.mean() * 1.001
    assert pca_error.mean() > 0.1


# Losses


def test_the_loss_is_the_mean_of_its_terms():
    spec = Spec((4, 3), 9, None)
    batch = {'x': jnp.floor(9 * jax.random.uniform(jax.random.PRNGKey(0), (6, 4, 3)))}
    x = np.asarray(batch['x'], np.float64) / 8
    for loss in models.LOSSES:
        parts = parts_of(spec, loss, penalty=models.exact)
        family = autoencoder(parts)
        weights = jax.jit(family.init)(jax.random.PRNGKey(1), batch)
        value, report = loss_of(family, weights, batch, rng_of(6))
        reconstruction = (
            np.asarray(family.ability(Reconstruct).mean(weights, batch, rng_of(6)), np.float64) / 8
        )
        expected = {
            'squared_error': 0.5 * np.sum((x - reconstruction) ** 2, (1, 2)),
            'cross_entropy': -np.sum(
                x * np.log(reconstruction) + (1 - x) * np.log(1 - reconstruction), (1, 2)
            ),
        }
        np.testing.assert_allclose(report[loss], expected[loss], rtol=1e-4)
        np.testing.assert_allclose(report['squared_error'], expected['squared_error'], rtol=1e-4)
        assert ('cross_entropy' in report) == (loss == 'cross_entropy')
        np.testing.assert_allclose(
            value, np.mean(report[loss] + HYPERS['contraction'] * report['contraction']), rtol=1e-5
        )
        values = jax.jit(family.metrics)(weights, batch, rng_of(6))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), values, report)


class Constant(nn.Module):
    """Codes are the inputs, and every reconstruction is 0."""

    def encode(self, x):
        return x

    def decode(self, codes):
        return 0 * codes


class Identity(Constant):
    """Reconstructs the network's input exactly."""

    def decode(self, codes):
        return codes


NOTHING = Weights({'model': {}}, {'model': {}})


def test_the_target_is_the_clean_image_despite_corruption():
    x = 2 * jax.random.normal(jax.random.PRNGKey(0), (500, DIMS))
    expected = 0.5 * np.sum(np.square(REAL.normalize(x)), 1)
    family = autoencoder(AutoencoderParts(Constant(), REAL, 'squared_error', gaussian, 0.5))
    _, report = loss_of(family, NOTHING, {'x': x}, rng_of(500))
    np.testing.assert_allclose(report['denoising_squared_error'], expected, rtol=1e-6)


def test_corruption_strength_is_the_hyper_in_training_and_the_setting_in_evaluation():
    """The identity's error is the noise's: 1/2 strength^2 chi^2 with DIMS degrees of freedom."""
    n = 4000
    batch = {'x': jnp.ones((n, DIMS))}
    family = autoencoder(AutoencoderParts(Identity(), REAL, 'squared_error', gaussian, 0.5))
    _, report = loss_of(family, NOTHING, batch, rng_of(n))
    values = jax.jit(family.metrics)(NOTHING, batch, rng_of(n))
    standard_error = np.sqrt(DIMS / 2 / n)
    error = np.mean(report['denoising_squared_error'])
    assert abs(error / HYPERS['corruption'] ** 2 - DIMS / 2) < 5 * standard_error
    assert abs(np.mean(values['denoising_squared_error']) / 0.25 - DIMS / 2) < 5 * standard_error
    assert not np.any(values['squared_error'])  # on the clean input
    assert 'squared_error' not in report


def test_codes_and_reconstructions_are_those_of_the_clean_image():
    batch = {'x': jnp.ones((3, DIMS))}
    plain, denoising = (autoencoder(parts_of(corrupt=c, strength=0.5)) for c in (None, masking))
    weights = jax.jit(plain.init)(jax.random.PRNGKey(0), batch)
    for ability in (lambda f: f.ability(Codes).encode, lambda f: f.ability(Reconstruct).mean):
        values = [ability(f)(weights, batch, rng_of(3)) for f in (plain, denoising)]
        np.testing.assert_array_equal(*values)


# The penalty


@pytest.mark.parametrize('tied', [pytest.param(False, marks=pytest.mark.slow), True])
def test_the_penalty_is_that_of_jacfwd_in_normalized_units(tied):
    parts = parts_of(tied=tied, penalty=models.exact)
    family = autoencoder(parts)
    x = 2 * jax.random.normal(jax.random.PRNGKey(0), (6, DIMS))
    weights = jax.jit(family.init)(jax.random.PRNGKey(1), {'x': x})
    encode_one = lambda x: models.encode(parts, weights.params, x[None])[0]
    jacobians = jax.jit(jax.vmap(jax.jacfwd(encode_one)))(REAL.normalize(x))
    values = jax.jit(family.metrics)(weights, {'x': x}, rng_of(6))
    np.testing.assert_allclose(values['contraction'], np.sum(jacobians**2, (1, 2)), rtol=1e-4)


def test_of_a_linear_encoder_the_penalty_is_the_norm_of_its_matrix():
    family = linear(penalty=models.exact)
    x = jax.random.normal(jax.random.PRNGKey(0), (4, DIMS))
    weights = jax.jit(family.init)(jax.random.PRNGKey(1), {'x': x})
    kernel = weights.params['model']['encoder']['Dense_0']['kernel']
    values = jax.jit(family.metrics)(weights, {'x': x}, rng_of(4))
    np.testing.assert_allclose(values['contraction'], np.full(4, np.sum(kernel**2)), rtol=1e-5)


@pytest.mark.slow
def test_probes_estimate_the_penalty_without_bias():
    n = 8000
    batch = {'x': jnp.tile(jax.random.normal(jax.random.PRNGKey(0), (1, DIMS)), (n, 1))}
    exact, estimated = (
        autoencoder(parts_of(penalty=p)) for p in (models.exact, models.estimate_with_probes(3))
    )
    weights = jax.jit(exact.init)(jax.random.PRNGKey(1), batch)
    expected = exact.metrics(weights, batch, rng_of(n))['contraction'][0]
    estimates = np.asarray(jax.jit(estimated.metrics)(weights, batch, rng_of(n))['contraction'])
    assert abs(estimates.mean() - expected) < 5 * estimates.std() / np.sqrt(n)
    assert 0.01 < estimates.std() / expected < 1  # each row has its own probes


@pytest.mark.parametrize(('latent', 'is_exact'), [(64, True), (65, False)])
def test_small_codes_have_the_exact_penalty(latent, is_exact):
    """'auto' uses the exact penalty for small codes and random probes for larger ones."""
    matrix = jax.random.normal(jax.random.PRNGKey(0), (4, latent))
    encoder, x = lambda x: x @ matrix, jnp.ones((2, 4))
    rules = contraction_penalties(1)
    penalty = rules['auto'](encoder, x, rng_of(2).keys)
    is_close = np.allclose(penalty, np.sum(matrix**2), rtol=1e-4)
    assert is_close == is_exact
    name = 'exact' if is_exact else 'probes'
    np.testing.assert_array_equal(penalty, rules[name](encoder, x, rng_of(2).keys))


def test_a_tied_decoder_is_the_transpose():
    net = TiedMLP((), 3, (2, 2))
    x = jax.random.normal(jax.random.PRNGKey(0), (5, 2, 2))
    params = jax.jit(net.init)(jax.random.PRNGKey(1), x)['params']
    params = {**params, 'encoder_bias_0': jnp.arange(3.0), 'decoder_bias_0': jnp.arange(4.0)}
    kernel = np.asarray(params['kernel_0'])
    codes = np.asarray(x).reshape(5, 4) @ kernel + np.arange(3)
    expected = (codes @ kernel.T + np.arange(4)).reshape(5, 2, 2)
    np.testing.assert_allclose(net.apply({'params': params}, x), expected, rtol=1e-4, atol=1e-5)


# Abilities


EVENTS = {
    'image': Spec((4, 3, 2), 5, None),
    'signal': Spec((6, 1), None, None),
    'scalar': Spec((), None, None),
    'dequantized': Spec((7,), None, None, dequantized_levels=4),
}


@pytest.mark.parametrize(
    'event',
    [
        event if event in ('image', 'scalar') else pytest.param(event, marks=pytest.mark.slow)
        for event in EVENTS
    ],
)
@pytest.mark.parametrize('tied', [False, pytest.param(True, marks=pytest.mark.slow)])
def test_every_ability_works_for_any_event_shape(event, tied):
    spec, n = EVENTS[event], 5
    family = autoencoder(parts_of(spec, tied=tied, corrupt=masking, penalty=models.exact))
    x = jax.random.uniform(jax.random.PRNGKey(2), (n, *spec.event_shape), maxval=4.0)
    batch, rng = {'x': x}, rng_of(n)
    weights = jax.jit(family.init)(jax.random.PRNGKey(0), batch)
    values = jax.jit(family.metrics)(weights, batch, rng)
    assert {v.shape for v in values.values()} == {(n,)}
    codes = family.ability(Codes).encode(weights, batch, rng)
    assert codes.shape == (n, 3)
    decoded = np.asarray(family.ability(Codes).decode(weights, 100 * codes))
    assert decoded.shape == x.shape
    if spec.interval is not None:
        assert spec.interval[0] <= decoded.min() <= decoded.max() <= spec.interval[1]
    np.testing.assert_array_equal(
        family.ability(Reconstruct).mean(weights, batch, rng),
        family.ability(Codes).decode(weights, codes),
    )
    assert family.ability(Sample) is family.ability(LogProb) is None
    assert family.ability(Codes).prior is None


@pytest.mark.slow
def test_abilities_of_a_row_depend_on_its_key_alone():
    rules = dict(corrupt=gaussian, strength=0.5, penalty=models.estimate_with_probes(2))
    family = autoencoder(parts_of(**rules))
    x = jax.random.normal(jax.random.PRNGKey(2), (6, DIMS))
    weights = jax.jit(family.init)(jax.random.PRNGKey(0), {'x': x})
    part_rng = rng_for(jax.random.PRNGKey(0), jnp.arange(2, 5), 6)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[2:5], b, rtol=1e-5),
        family.metrics(weights, {'x': x}, rng_of(6)),
        family.metrics(weights, {'x': x[2:5]}, part_rng),
    )


@pytest.mark.parametrize('tied', [False, pytest.param(True, marks=pytest.mark.slow)])
def test_bfloat16_products_keep_float32_parameters_and_losses(tied):
    def family(**options):
        if tied:
            return autoencoder(
                AutoencoderParts(TiedMLP((6,), 3, (DIMS,), **options), REAL, 'squared_error')
            )
        net = Pair(mlp.MLP((6,), (3,), **options), mlp.MLP((6,), (DIMS,), **options))
        return autoencoder(AutoencoderParts(net, REAL, 'squared_error'))

    batch = {'x': jax.random.normal(jax.random.PRNGKey(2), (6, DIMS))}
    half, full = family(dtype=jnp.bfloat16), family()
    weights = jax.jit(half.init)(jax.random.PRNGKey(0), batch)
    assert {leaf.dtype for leaf in jax.tree.leaves(weights)} == {jnp.dtype('float32')}
    values = [f.metrics(weights, batch, rng_of(6))['squared_error'] for f in (half, full)]
    assert {v.dtype for v in values} == {jnp.dtype('float32')}
    assert 0 < np.abs(values[0] - values[1]).max() < 0.2


# Runs


RUNS = {
    'denoising_autoencoder': dict(model__body='strides'),
    'contractive_autoencoder': dict(
        model__loss='cross_entropy',
        model__contraction='probes',
        model__corruption='salt_and_pepper',
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize('name', RUNS)
def test_the_device_count_makes_no_difference(tmp_path, name):
    run = assembled(tmp_path, name, **RUNS[name])
    check_same_on_any_devices(steps_on(run, 1, 4), steps_on(run, 8, 4))


@pytest.mark.slow
def test_every_step_corrupts_afresh(tmp_path):
    """With one image in all rows and a learning rate of 0, only the noise can change the loss."""
    no_learning = dict(hypers__learning_rate=0.0)
    losses = {}
    for corruption in ('none', 'gaussian'):
        run = assembled(tmp_path, 'autoencoder', model__corruption=corruption, **no_learning)
        one_image = {name: np.repeat(a[:1], 96, 0) for name, a in run.data.splits['train'].items()}
        run = run._replace(data=run.data._replace(splits={**run.data.splits, 'train': one_image}))
        losses[corruption] = [report['loss'] for _, report in steps_on(run, 1, 4)]
    assert len(np.unique(losses['none'])) == 1
    assert len(np.unique(losses['gaussian'])) == 4


@pytest.mark.parametrize(
    ('name', 'changes', 'message'),
    [
        ('autoencoder', dict(model__loss='nats'), "choose one of 'squared_error'"),
        ('autoencoder', dict(model__latent_dim=0), 'model.latent_dim=0'),
        ('autoencoder', dict(model__code_activation='relus'), "did you mean 'relu'"),
        ('autoencoder', dict(model__corruption='noise'), 'model.corruption'),
        ('autoencoder', dict(model__contraction_probes=0), 'model.contraction_probes=0'),
        ('autoencoder', dict(data__name='moons', model__loss='cross_entropy'), 'real-valued'),
        (
            'autoencoder',
            dict(data__name='moons', model__corruption='salt_and_pepper'),
            'choose gaussian or masking',
        ),
        (
            'autoencoder',
            dict(model__corruption='masking', eval__corruption=1.5),
            'config.eval.corruption=1.5: it must be a share',
        ),
        ('denoising_autoencoder', dict(hypers__corruption=-1.0), 'hypers.corruption=-1.0'),
        (
            'denoising_autoencoder',
            dict(model__corruption='none'),
            'use configs/conv_autoencoder.py',
        ),
        ('conv_autoencoder', dict(model__hidden_sizes=(4,)), 'but no bottleneck'),
        ('conv_autoencoder', dict(model__body='pool'), "did you mean 'pooling'"),
        ('conv_autoencoder', dict(model__channels=()), 'model.channels'),
        ('conv_autoencoder', dict(model__latent_dim=-1), 'model.latent_dim=-1'),
    ],
)
def test_bad_settings_end_in_one_line(tmp_path, complaint, name, changes, message):
    assert message in complaint(assembled, tmp_path, name, **changes)
