"""VAE objectives against theory: expected gradients and the ordering of bounds."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, check_same_on_any_devices, first_batch, steps_on

from atelier import checkout
from atelier.core.abilities import Codes, LogProb, Reconstruct, Sample
from atelier.core.randomness import rng_for
from atelier.core.types import Weights
from atelier.data.dataset import Spec
from losses import elbo
from models.autoencoders import vae_objectives
from models.autoencoders.vae import VAENetworks, vae
from models.nets import mlp
from models.shared.observations import Observation

PLAIN = {'beta': 1.0, 'kl_warmup_steps': 0.0, 'free_nats': 0.0}
DIMS, LATENT = 3, 2
ESTIMATORS = (vae_objectives.importance_weighted, vae_objectives.doubly_reparameterized)


def networks(latent_dim=LATENT):
    """Affine networks and a Gaussian observation of variance one: probabilistic PCA."""
    unit = Observation(
        size=1,
        log_prob=lambda x, p: elbo.diagonal_gaussian_log_prob(x, p[..., 0], jnp.zeros_like(x)),
        mean=lambda p: p[..., 0],
        sample=None,
    )
    return VAENetworks(
        encoder=mlp.MLP((), (2 * latent_dim,)),
        decoder=mlp.MLP((), (DIMS, 1)),
        observation=unit,
        latent_dim=latent_dim,
        spec=Spec((DIMS,), None, None),
    )


def family_of(objective, latent_dim=LATENT):
    return vae(networks(latent_dim), objective, num_importance_samples=1, importance_chunk=1)


def initial_weights_and_batch(family, n=4):
    """(initial weights, batch of n random examples)."""
    batch = {'x': 2 * jax.random.normal(jax.random.PRNGKey(3), (n, DIMS))}
    return jax.jit(family.init)(jax.random.PRNGKey(0), batch), batch


def perturbed_weights_and_batch(n=4, latent_dim=LATENT, perturbation=0.2):
    """(weights, batch) of a model whose posterior is perturbed, and wider than the exact one.

    With a narrower posterior the importance weights would have infinite variance.
    """
    random = np.random.default_rng(0)
    loadings = np.linalg.qr(random.normal(size=(DIMS, latent_dim)))[0] * [1.2, 0.8][:latent_dim]
    variances = 1 / (1 + np.sum(loadings**2, 0))  # diagonal: the loadings are orthogonal
    to_mean = loadings * variances + perturbation * random.normal(size=loadings.shape)
    bias = np.concatenate([np.full(latent_dim, perturbation), np.log(variances) + perturbation])
    kernel = np.concatenate([to_mean, np.zeros_like(loadings)], 1)
    encoder = {'kernel': jnp.float32(kernel), 'bias': jnp.float32(bias)}
    decoder = {'kernel': jnp.float32(loadings.T), 'bias': jnp.zeros(DIMS)}
    params = {'encoder': {'Dense_0': encoder}, 'decoder': {'Dense_0': decoder}}
    x = jnp.float32(
        random.normal(size=(n, latent_dim)) @ loadings.T + random.normal(size=(n, DIMS))
    )
    return Weights({'model': params}, {'model': {}}), {'x': x}


def rng_of(n, seed=0):
    return rng_for(jax.random.PRNGKey(seed), jnp.arange(n), n)


@functools.partial(jax.jit, static_argnums=0)
def loss_at(family, weights, batch, hypers=None, step=0, seed=0):
    rng = rng_of(len(batch['x']), seed)
    losses, (_, metrics) = family.turns[0].loss(weights, batch, rng, step, hypers or {})
    return losses['model'], metrics


# Evidence lower bound


def test_hypers_scale_the_kl_of_the_loss_and_not_the_reported_elbo():
    family = family_of(bound())
    loss_with = functools.partial(loss_at, family, *initial_weights_and_batch(family))
    loss, metrics = loss_with(PLAIN)
    loss_at_3, same_metrics = loss_with({**PLAIN, 'beta': 3.0})
    kl = np.mean(metrics['kl_nats'])
    np.testing.assert_allclose(loss, -np.mean(metrics['elbo_nats']), rtol=1e-6)
    np.testing.assert_allclose(loss_at_3 - loss, 2 * kl, rtol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, metrics, same_metrics)
    warmup_losses = [
        loss_with({**PLAIN, 'kl_warmup_steps': 10.0}, step=step)[0] for step in (0, 4, 9, 50)
    ]
    np.testing.assert_allclose(
        np.subtract(loss, warmup_losses), [0.9 * kl, 0.5 * kl, 0, 0], atol=1e-5
    )


def bound():
    return vae_objectives.evidence_bound()


def test_free_nats_apply_to_each_dimensions_mean_over_the_batch():
    """With the threshold between two dimensions' mean KLs, the smaller one is charged it."""
    family = family_of(bound())
    weights, batch = initial_weights_and_batch(family)
    q = family.ability(Codes).posterior(weights, batch, None)
    small, large = sorted(np.mean(elbo.kl_standard_normal_by_dim(*q), 0))
    free = (small + large) / 2
    assert 1 < small < free < large
    loss_with = lambda free: loss_at(family, weights, batch, {**PLAIN, 'free_nats': free})[0]
    np.testing.assert_allclose(loss_with(free) - loss_with(0.0), free - small, rtol=1e-3)
    np.testing.assert_allclose(loss_with(small / 2), loss_with(0.0), rtol=1e-6)


@pytest.mark.slow
def test_below_the_free_nats_the_kl_has_no_gradient():
    """With a decoder that ignores z, the encoder's whole gradient comes from the KL."""
    family = family_of(bound())
    weights, batch = initial_weights_and_batch(family)
    decoder = jax.tree.map(jnp.zeros_like, weights.params['model']['decoder'])
    params = {'model': {**weights.params['model'], 'decoder': decoder}}

    def slope(free):
        hypers = {**PLAIN, 'free_nats': free}
        loss = lambda p: loss_at(family, weights._replace(params=p), batch, hypers)[0]
        return jax.grad(loss)(params)['model']['encoder']

    slopes = [slope(free) for free in (0.0, 100.0)]
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(slopes[0])) > 0.1
    jax.tree.map(lambda leaf: np.testing.assert_array_equal(leaf, 0), slopes[1])


# Several samples


@pytest.mark.parametrize(
    'make', [pytest.param('importance_weighted', marks=pytest.mark.slow), 'doubly_reparameterized']
)
def test_one_sample_gives_the_elbo(make):
    """Equal in expectation: the bound uses log q(z | x) of the sample in place of the KL."""
    family = family_of(getattr(vae_objectives, make)(1))
    weights, batch = initial_weights_and_batch(family, 20_000)
    batch = {'x': jnp.broadcast_to(batch['x'][:1], batch['x'].shape)}
    loss, metrics = loss_at(family, weights, batch)
    np.testing.assert_allclose(loss, -np.mean(metrics['importance_weighted_bound_nats']), rtol=1e-6)
    difference = metrics['importance_weighted_bound_nats'] - metrics['elbo_nats']
    assert abs(difference.mean()) < 5 * difference.std() / np.sqrt(20_000)


@pytest.mark.slow
def test_the_bound_rises_with_the_samples_and_stays_below_the_likelihood():
    """Means over 20,000 draws for one example; log p(x) is Gaussian."""
    means, errors, n = [], [], 20_000
    for k in (1, 2, 8, 32):
        family = family_of(vae_objectives.importance_weighted(k))
        weights, batch = perturbed_weights_and_batch(perturbation=0.5)
        many = {'x': jnp.broadcast_to(batch['x'][:1], (n, DIMS))}
        values = jax.jit(family.metrics)(weights, many, rng_of(n))
        values = np.asarray(values['importance_weighted_bound_nats'], np.float64)
        means.append(values.mean())
        errors.append(values.std() / np.sqrt(n))
    decoder = weights.params['model']['decoder']['Dense_0']
    loadings = np.asarray(decoder['kernel'], np.float64)
    covariance = loadings.T @ loadings + np.eye(DIMS)
    x = np.asarray(batch['x'][0], np.float64)
    exact = -0.5 * (x @ np.linalg.solve(covariance, x) + np.linalg.slogdet(covariance)[1])
    exact -= 0.5 * DIMS * np.log(2 * np.pi)
    gaps = exact - np.asarray(means)
    assert np.all(np.diff(means) > 4 * np.hypot(errors[1:], errors[:-1]))
    assert gaps[-1] > -4 * errors[-1]
    assert gaps[-1] < 0.1 * gaps[0]


def gradients_at_nodes(monkeypatch, make, k, nodes):
    """The gradient of a one-latent model's loss at each row of `nodes`; leaves [pairs, ...]."""
    family = family_of(make(k), latent_dim=1)
    weights, batch = perturbed_weights_and_batch(1, latent_dim=1)
    loss = lambda p: loss_at(family, weights._replace(params=p), batch)[0]

    def gradient(noise):
        at_nodes = lambda q, rng, num_samples: (
            q.mean + jnp.exp(0.5 * q.log_var) * noise[:, None, None]
        )
        monkeypatch.setattr(vae_objectives, '_samples', at_nodes)
        return jax.grad(loss)(weights.params)

    return jax.vmap(gradient)(nodes)


@pytest.mark.slow
def test_both_estimators_of_the_gradient_have_the_same_mean(monkeypatch):
    """With two samples of one latent the expectation is a plane integral, by quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    pairs = jnp.asarray([(a, b) for a in nodes for b in nodes], jnp.float32)
    weights = np.outer(weights, weights).ravel() / np.sum(weights) ** 2
    means = []
    for make in ESTIMATORS:
        slopes = gradients_at_nodes(monkeypatch, make, 2, pairs)
        mean = lambda leaf: np.tensordot(weights, np.asarray(leaf, np.float64), 1)
        means.append(jax.tree.map(mean, slopes))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), *means)
    assert all(np.abs(leaf).max() > 0.01 for leaf in jax.tree.leaves(means[0]))


def encoder_and_decoder_slopes(make, k, n=4, seed=0):
    """Gradient of the loss on n examples with respect to encoder and decoder parameters."""
    family = family_of(make(k))
    weights, batch = perturbed_weights_and_batch(n)
    loss = lambda p: loss_at(family, weights._replace(params=p), batch, seed=seed)[0]
    return jax.grad(loss)(weights.params)['model']


@pytest.mark.slow
def test_the_decoders_gradient_is_the_plain_one_at_every_draw():
    plain, doubly = (encoder_and_decoder_slopes(make, 5) for make in ESTIMATORS)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    jax.tree.map(close, plain['decoder'], doubly['decoder'])
    differences = jax.tree.map(
        lambda a, b: np.abs(a - b).max(), plain['encoder'], doubly['encoder']
    )
    assert max(jax.tree.leaves(differences)) > 0.01


def signal_to_noise(make, k, num_draws=3000):
    """|mean| / standard deviation of the encoder's gradient over draws; median over parameters."""
    encoder_gradient = lambda seed: encoder_and_decoder_slopes(make, k, 1, seed)['encoder']
    slopes = jax.tree.leaves(jax.jit(jax.vmap(encoder_gradient))(jnp.arange(num_draws)))
    flat = np.concatenate([np.reshape(leaf, (num_draws, -1)) for leaf in slopes], 1)
    return np.median(np.abs(flat.mean(0)) / flat.std(0))


@pytest.mark.slow
def test_the_signal_of_the_encoders_gradient_against_its_noise():
    """With more samples the SNR falls (Rainforth et al. 2018), but rises with DReG."""
    plain, doubly = ([signal_to_noise(make, k) for k in (1, 64)] for make in ESTIMATORS)
    assert plain[1] < 0.5 * plain[0]
    assert doubly[1] > 2 * doubly[0]
    assert doubly[1] > 5 * plain[1]


# Independent dimensions, and classes


@pytest.mark.slow
def test_beta_scales_the_total_correlation_alone():
    family = family_of(vae_objectives.total_correlation_bound())
    loss_with = functools.partial(loss_at, family, *initial_weights_and_batch(family, 16))
    (loss, metrics), (loss_at_4, _) = loss_with({'beta': 1.0}), loss_with({'beta': 4.0})
    np.testing.assert_allclose(loss, -np.mean(metrics['elbo_nats']), rtol=1e-6)
    tc = np.mean(metrics['batch_total_correlation_nats'])
    np.testing.assert_allclose(loss_at_4 - loss, 3 * tc, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['beta_tc_vae', 'cvae', 'iwae'])
def test_any_number_of_devices_gives_the_same(tmp_path, name):
    run = assembled(tmp_path, name)
    check_same_on_any_devices(steps_on(run, 1, 3), steps_on(run, 8, 3))


@pytest.mark.slow
def test_free_nats_are_those_of_the_whole_batch_on_any_number_of_devices(tmp_path):
    run = assembled(tmp_path, 'vae', hypers__free_nats=0.02, hypers__kl_warmup_steps=2.0)
    check_same_on_any_devices(steps_on(run, 1, 3), steps_on(run, 8, 3))


@pytest.fixture(scope='module')
def conditional(tmp_path_factory):
    return assembled(tmp_path_factory.mktemp('cvae'), 'cvae')


@pytest.mark.slow
def test_codes_of_a_conditional_vae_end_in_the_class(conditional):
    family, batch = conditional.family, first_batch(conditional, 6)
    weights = jax.jit(family.init)(jax.random.PRNGKey(0), batch)
    codes = family.ability(Codes).encode(weights, batch, None)
    np.testing.assert_array_equal(codes[:, 2:], jax.nn.one_hot(batch['label'], 10))
    np.testing.assert_array_equal(
        family.ability(Reconstruct).mean(weights, batch, None),
        family.ability(Codes).decode(weights, codes),
    )
    other_batch = {**batch, 'label': (batch['label'] + 1) % 10}
    other_codes = codes.at[:, 2:].set(jax.nn.one_hot(other_batch['label'], 10))
    decoded, other_decoded = (
        family.ability(Codes).decode(weights, c) for c in (codes, other_codes)
    )
    assert np.all(np.abs(other_decoded - decoded).max((1, 2, 3)) > 1e-3)
    nats = [
        family.ability(LogProb).nats(weights, labelled_batch, rng_of(6))
        for labelled_batch in (batch, other_batch)
    ]
    assert np.all(np.abs(nats[0] - nats[1]) > 1e-3)


@pytest.mark.slow
def test_the_encoders_class_embedding_has_a_gradient(conditional):
    """The encoder's class embedding starts at zero and has a nonzero gradient there."""
    family, batch = conditional.family, first_batch(conditional, 6)
    weights = jax.jit(family.init)(jax.random.PRNGKey(0), batch)
    loss = lambda p: loss_at(family, weights._replace(params=p), batch, PLAIN)[0]
    slope = jax.grad(loss)(weights.params)
    (embedding,) = jax.tree.leaves(slope['model']['encoder']['Embed_0'])
    labels = np.unique(batch['label'])
    assert np.all(np.abs(embedding[labels]).max(1) > 0)
    assert not np.any(np.delete(embedding, labels, 0))


@pytest.mark.slow
def test_samples_have_the_given_class_or_a_random_one(conditional):
    family, n = conditional.family, 400
    weights = jax.jit(family.init)(jax.random.PRNGKey(0), first_batch(conditional, 1))
    rng, label = rng_of(n), jnp.arange(n) % 10
    classes = family.ability(Codes).prior(weights, rng)[:, 2:]
    share = np.mean(classes, 0)
    np.testing.assert_array_equal(classes.sum(1), 1)
    assert np.all(np.abs(share - 0.1) < 5 * np.sqrt(0.09 / n))
    class_samples = family.ability(Sample).draw(weights, rng, {'label': label})
    any_class_samples = family.ability(Sample).draw(weights, rng, None)
    is_same_class = np.asarray(jnp.argmax(classes, 1) == label)
    rows = lambda x: np.asarray(x).reshape(n, -1)
    np.testing.assert_array_equal(
        rows(class_samples)[is_same_class], rows(any_class_samples)[is_same_class]
    )
    assert np.mean(np.any(rows(class_samples) != rows(any_class_samples), 1)[~is_same_class]) > 0.9


@pytest.mark.slow
def test_classes_left_out_of_training_are_not_sampled(tmp_path):
    run = assembled(tmp_path, 'cvae', data__without_classes=(0, 9))
    weights = jax.jit(run.family.init)(jax.random.PRNGKey(0), first_batch(run, 1))
    drawn = jax.jit(run.family.ability(Codes).prior)(weights, rng_of(200))[:, 2:]
    assert set(np.argmax(drawn, 1).tolist()) == set(range(1, 9))


def test_without_labels_there_is_no_conditional_vae(tmp_path, complaint):
    assert 'has no labels: use configs/vae.py' in complaint(
        assembled, tmp_path, 'cvae', 'checkerboard,debug'
    )


@pytest.mark.parametrize(
    ('name', 'changes', 'message'),
    [
        ('vae', dict(hypers__beta=-2.0), 'hypers.beta'),
        ('vae', dict(hypers__free_nats=-1.0), 'hypers.free_nats'),
        ('beta_tc_vae', dict(hypers__beta=-1.0), 'hypers.beta'),
        ('ladder_vae', dict(hypers__kl_warmup_steps=-1.0), 'hypers.kl_warmup_steps'),
        ('iwae', dict(model__num_samples=0), 'model.num_samples'),
        ('iwae', dict(model__estimator='drag'), 'dreg'),
    ],
)
def test_bad_settings_end_in_one_line(tmp_path, complaint, name, changes, message):
    assert message in complaint(assembled, tmp_path, name, **changes)


def test_the_stages_of_the_importance_weighted_autoencoder_are_those_of_the_paper():
    """Stages of 1, 3, 9, ..., 2,187 passes over 50,000 images, 3,280 in all, batch size 20."""
    config = checkout.config_file(f'{checkout.ROOT}/configs/iwae.py:mnist').config()
    assert (config.data.num_valid, config.train.batch_size) == (10_000, 20)
    passes = 50_000 // 20
    assert config.train.steps == 3280 * passes
    ends = [1, 4, 13, 40, 121, 364, 1093]
    assert [config.hypers[f'milestone_{i}'] for i in range(1, 8)] == [passes * e for e in ends]
    np.testing.assert_allclose(1e-3 * config.hypers.milestone_factor**7, 1e-4)
