"""The VAE family against a model with known likelihood, and its guarantees on shapes and keys.

A VAE with affine networks and a Gaussian observation of fixed variance is probabilistic PCA
(Tipping and Bishop 1999), so log p(x) and the posterior have closed forms.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.stats

from atelier.core import train_step
from atelier.core.abilities import Codes, LogProb, Reconstruct, Sample
from atelier.core.randomness import rng_for
from atelier.core.types import Weights
from atelier.data.dataset import Spec
from losses import elbo
from models.autoencoders.vae import Posterior, VAENetworks, reparameterize, vae
from models.autoencoders.vae_objectives import evidence_bound
from models.nets import mlp
from models.shared import observations

pytestmark = pytest.mark.usefixtures('strict_promotion')

LATENT, DIMS, NOISE = 2, 5, 0.7


def fixed_gaussian():
    log_var = 2 * np.log(NOISE)
    return observations.Observation(
        size=1,
        log_prob=lambda x, p: elbo.diagonal_gaussian_log_prob(
            x, p[..., 0], jnp.full(x.shape, log_var)
        ),
        mean=lambda p: p[..., 0],
        sample=None,
    )


def linear_vae(num_importance_samples):
    nets = VAENetworks(
        encoder=mlp.MLP((), (2 * LATENT,)),
        decoder=mlp.MLP((), (DIMS, 1)),
        observation=fixed_gaussian(),
        latent_dim=LATENT,
        spec=Spec((DIMS,), None, None),
    )
    return vae(nets, evidence_bound(), num_importance_samples, importance_chunk=64)


@pytest.fixture(scope='module')
def ppca():
    """(data x, exact log p(x), encoder of the exact posterior, decoder).

    The loadings have orthogonal columns, so that the posterior covariance is diagonal.
    """
    rng = np.random.default_rng(0)
    loadings = np.linalg.qr(rng.normal(size=(DIMS, LATENT)))[0] * [1.5, 0.8]
    offset = rng.normal(size=DIMS)
    x = rng.normal(size=(6, LATENT)) @ loadings.T + offset + NOISE * rng.normal(size=(6, DIMS))
    covariance = loadings @ loadings.T + NOISE**2 * np.eye(DIMS)
    exact = scipy.stats.multivariate_normal(offset, covariance).logpdf(x)
    inverse = np.linalg.inv(loadings.T @ loadings + NOISE**2 * np.eye(LATENT))
    to_mean = inverse @ loadings.T
    log_var = np.log(NOISE**2 * np.diag(inverse))
    encoder = {
        'kernel': np.concatenate([to_mean.T, np.zeros((DIMS, LATENT))], axis=1),
        'bias': np.concatenate([-to_mean @ offset, log_var]),
    }
    decoder = {'kernel': loadings.T, 'bias': offset}
    return jnp.float32(x), exact, encoder, decoder


def weights_of(encoder, decoder):
    tree = {'encoder': {'Dense_0': encoder}, 'decoder': {'Dense_0': decoder}}
    return Weights({'model': jax.tree.map(jnp.float32, tree)}, {'model': {}})


def rng_of(n, seed=0):
    return rng_for(jax.random.PRNGKey(seed), jnp.arange(n), n)


def test_importance_weights_are_constant_at_the_exact_posterior(ppca):
    """A single sample suffices, as every weight equals p(x)."""
    x, exact, encoder, decoder = ppca
    log_prob = jax.jit(linear_vae(1).ability(LogProb).nats)
    for seed in range(3):
        estimate = log_prob(weights_of(encoder, decoder), {'x': x}, rng_of(len(x), seed))
        np.testing.assert_allclose(estimate, exact, rtol=1e-4)


def test_elbo_equals_log_prob_at_the_exact_posterior_on_average(ppca):
    x, exact, encoder, decoder = ppca
    repeated_x = jnp.repeat(x[:1], 20_000, axis=0)
    values = jax.jit(linear_vae(1).metrics)(
        weights_of(encoder, decoder), {'x': repeated_x}, rng_of(len(repeated_x))
    )
    bound = np.asarray(values['elbo_nats'], np.float64)
    error = bound.std() / np.sqrt(len(bound))
    assert abs(bound.mean() - exact[0]) < 5 * error
    assert error < 0.02


def test_elbo_of_a_wrong_posterior_misses_by_its_kl(ppca):
    x, exact, encoder, decoder = ppca
    shift = np.array([0.5, -0.8])
    bias = encoder['bias'] + np.concatenate([shift, np.zeros(LATENT)])
    repeated_x = jnp.repeat(x[:1], 20_000, axis=0)
    wrong = weights_of({**encoder, 'bias': bias}, decoder)
    metrics = jax.jit(linear_vae(1).metrics)
    bound = np.asarray(metrics(wrong, {'x': repeated_x}, rng_of(len(repeated_x)))['elbo_nats'])
    gap = 0.5 * np.sum(shift**2 / np.exp(encoder['bias'][LATENT:]))
    assert gap > 0.5
    assert abs(exact[0] - bound.mean() - gap) < 5 * bound.std() / np.sqrt(len(bound))


@pytest.mark.slow
def test_importance_weighted_estimate_converges_from_below(ppca):
    """Mean gap over the examples for growing k, with a biased and too wide posterior."""
    x, exact, encoder, decoder = ppca
    wide_posterior = weights_of({**encoder, 'bias': encoder['bias'] + 0.7}, decoder)
    gaps = []
    for k in (1, 10, 300):
        repeated = jnp.tile(x, (100 if k < 300 else 10, 1))
        nats = jax.jit(linear_vae(k).ability(LogProb).nats)(
            wide_posterior, {'x': repeated}, rng_of(len(repeated))
        )
        gaps.append(np.mean(np.tile(exact, len(repeated) // len(x)) - nats))
    assert gaps[0] > gaps[1] > gaps[2] > -0.01
    assert gaps[0] > 0.3
    assert gaps[2] < 0.03


@pytest.mark.slow
def test_training_reaches_the_maximum_likelihood_of_ppca():
    """The learned linear VAE comes within 0.05 nats of the closed-form optimum, from below.

    The posterior covariance is the same for all x and diagonal at the optimum (Lucas et al. 2019),
    so that the evidence lower bound is tight.
    """
    rng = np.random.default_rng(1)
    data = rng.normal(size=(500, LATENT)) @ rng.normal(size=(LATENT, DIMS)) * 1.2
    data = jnp.float32(data + NOISE * rng.normal(size=data.shape))
    values, vectors = np.linalg.eigh(np.cov(data.T, bias=True))
    spread = np.sqrt(np.maximum(values[-LATENT:] - NOISE**2, 0))
    loadings = vectors[:, -LATENT:] * spread
    covariance = loadings @ loadings.T + NOISE**2 * np.eye(DIMS)
    best = scipy.stats.multivariate_normal(np.mean(data, 0), covariance).logpdf(data).mean()
    with jax.numpy_dtype_promotion('standard'):  # optax's schedule
        bound = _train_linear(data)
    assert best - 0.05 < bound < best + 0.02


def _train_linear(data) -> float:
    family = linear_vae(1)
    start = jax.jit(family.init)(jax.random.PRNGKey(0), {'x': data})
    rule = optax.adam(optax.cosine_decay_schedule(3e-2, 6000))
    hypers = {'beta': 1.0, 'kl_warmup_steps': 0.0, 'free_nats': 0.0}
    hypers = jax.tree.map(jnp.float32, hypers)

    def step(carry, step_index):
        params, opt = carry
        rng = rng_at(step_index, len(data))
        weights = start._replace(params=params)
        played = train_step.gradients_of_turn(family.turns[0], weights, {'x': data}, rng, 0, hypers)
        update, opt = rule.update(played.gradients, opt, params)
        return (optax.apply_updates(params, update), opt), None

    def rng_at(step_index, n):
        key = jax.random.fold_in(jax.random.PRNGKey(7), step_index)
        return rng_for(key, jnp.arange(n), n)

    (params, _), _ = jax.jit(lambda c: jax.lax.scan(step, c, jnp.arange(6000)))(
        (start.params, rule.init(start.params))
    )
    repeated = {'x': jnp.tile(data, (40, 1))}
    return float(
        np.mean(
            family.metrics(start._replace(params=params), repeated, rng_of(len(repeated['x'])))[
                'elbo_nats'
            ]
        )
    )


def test_reparameterized_samples_have_the_posteriors_moments():
    n = 40_000
    posterior = Posterior(jnp.full((n, 2), 1.5), jnp.full((n, 2), jnp.log(0.25)))
    z = np.asarray(reparameterize(posterior, rng_of(n).keys))
    np.testing.assert_allclose(z.mean(0), 1.5, atol=5 * 0.5 / np.sqrt(n))
    np.testing.assert_allclose(z.std(0), 0.5, rtol=0.03)
    assert abs(np.corrcoef(z.T)[0, 1]) < 0.03


EVENTS = {
    'image': (Spec((4, 3, 2), 5, None), observations.categorical),
    'binary vector': (Spec((7,), 2, None), observations.bernoulli),
    'signal': (Spec((6, 1), None, None), observations.gaussian),
    'scalar': (Spec((), None, None), observations.gaussian),
    'grey levels': (Spec((2, 2), 9, None), observations.binomial),
    'colours': (
        Spec((2, 2, 3), 256, None),
        lambda spec: observations.discretized_logistic_mixture(spec, components=3),
    ),
}


def family_for(event, latent_dim=3):
    spec, make_observation = EVENTS[event]
    observation = make_observation(spec)
    nets = VAENetworks(
        encoder=mlp.MLP((8,), (2 * latent_dim,)),
        decoder=mlp.MLP((8,), (*spec.event_shape, observation.size), nn.tanh),
        observation=observation,
        latent_dim=latent_dim,
        spec=spec,
    )
    return spec, vae(nets, evidence_bound(), num_importance_samples=4, importance_chunk=3)


QUICK = ('image',)


@pytest.mark.parametrize(
    'event', [e if e in QUICK else pytest.param(e, marks=pytest.mark.slow) for e in EVENTS]
)
def test_every_ability_works_for_any_event_shape(event):
    spec, family = family_for(event)
    n = 5
    x = jax.random.uniform(jax.random.PRNGKey(2), (n, *spec.event_shape)) * (spec.levels or 3)
    batch = {'x': jnp.floor(x) if spec.levels else x}
    rng = rng_of(n)
    weights = jax.jit(family.init)(jax.random.PRNGKey(0), batch)
    values = jax.jit(family.metrics)(weights, batch, rng)
    assert {v.shape for v in values.values()} == {(n,)}
    codes = family.ability(Codes).encode(weights, batch, rng)
    assert codes.shape == (n, 3)
    assert family.ability(Codes).decode(weights, codes).shape == x.shape
    np.testing.assert_array_equal(
        family.ability(Reconstruct).mean(weights, batch, rng),
        family.ability(Codes).decode(weights, codes),
    )
    samples = jax.jit(lambda rng: family.ability(Sample).draw(weights, rng, None))(rng)
    assert samples.shape == x.shape
    assert family.ability(Codes).prior(weights, rng).shape == codes.shape
    if spec.levels:
        assert set(np.unique(samples)) <= set(range(spec.levels))
    nats = jax.jit(family.ability(LogProb).nats)(weights, batch, rng)
    assert nats.shape == (n,)
    assert np.all(np.isfinite(nats))
    assert family.ability(LogProb).description == 'estimate, k = 4'


@pytest.mark.slow
def test_abilities_of_a_row_depend_on_its_key_alone():
    """A slice of a batch gives the same rows: examples share no noise and leak nothing."""
    spec, family = family_for('image')
    x = jnp.floor(5 * jax.random.uniform(jax.random.PRNGKey(2), (6, *spec.event_shape)))
    weights = jax.jit(family.init)(jax.random.PRNGKey(0), {'x': x})
    whole_rng, part_rng = rng_of(6), rng_for(jax.random.PRNGKey(0), jnp.arange(2, 5), 6)
    for ability in map(jax.jit, (family.metrics, family.ability(LogProb).nats)):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a[2:5], b, rtol=1e-5),
            ability(weights, {'x': x}, whole_rng),
            ability(weights, {'x': x[2:5]}, part_rng),
        )
    sample = jax.jit(lambda rng: family.ability(Sample).draw(weights, rng, None))
    samples = np.asarray(sample(whole_rng))
    np.testing.assert_array_equal(samples[2:5], sample(part_rng))
    assert len(np.unique(samples, axis=0)) == 6


@pytest.mark.slow
def test_bfloat16_products_keep_float32_parameters_and_losses():
    spec = Spec((8,), 2, None)
    network = dict(dtype=jnp.bfloat16)
    make = lambda **kw: vae(
        VAENetworks(
            encoder=mlp.MLP((16,), (4,), **kw),
            decoder=mlp.MLP((16,), (8, 1), **kw),
            observation=observations.bernoulli(spec),
            latent_dim=2,
            spec=spec,
        ),
        evidence_bound(),
        num_importance_samples=2,
        importance_chunk=2,
    )
    half, full = make(**network), make()
    batch = {'x': jnp.tile(jnp.array([0.0, 1.0]), (10, 4))}
    weights = jax.jit(half.init)(jax.random.PRNGKey(0), batch)
    assert {x.dtype for x in jax.tree.leaves(weights)} == {jnp.dtype('float32')}
    values, exact = (jax.jit(f.metrics)(weights, batch, rng_of(10)) for f in (half, full))
    assert {v.dtype for v in values.values()} == {jnp.dtype('float32')}
    difference = np.abs(values['elbo_nats'] - exact['elbo_nats'])
    assert 0 < difference.max() < 0.1
