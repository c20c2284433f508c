"""Probabilistic PCA against scikit-learn and scipy's Gaussians."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
import sklearn.decomposition
from support import assembled

from atelier.core import optimizers, train_step
from atelier.core.abilities import Codes, Inpaint, LogProb, Sample
from atelier.core.randomness import identity, rng_for
from atelier.data.dataset import Spec
from atelier.errors import UserError
from models.classical.ppca import PPCAParts, ppca

DIMS, LATENT = 5, 2
SPEC = Spec((DIMS,), None, None, mean=(1.0, -2.0, 0.0, 3.0, 0.5), std=(2.0, 1.0, 0.5, 1.0, 3.0))


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope='module')
def rows():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(300, LATENT)) @ rng.normal(size=(LATENT, DIMS))
    return (z + 0.4 * rng.normal(size=(300, DIMS))) * np.array(SPEC.std) + np.array(SPEC.mean)


def rng_of(n):
    return rng_for(jax.random.PRNGKey(0), jnp.arange(n), n)


def fitted(x, num_batches=1):
    """(family, weights) after one step on each of `num_batches` parts of x."""
    family = ppca(PPCAParts(LATENT, SPEC, 1e-6, 1.0))
    parts = [{'x': jnp.asarray(part)} for part in np.split(x, num_batches)]
    hypers = {'ema_half_life': jnp.zeros(())}
    state = train_step.init_state(family, optimizers.adam, jax.random.PRNGKey(0), parts[0], hypers)
    n = len(parts[0]['x'])
    arguments = optimizers.adam, n, identity, identity
    step = jax.jit(train_step.make_step(family.turns, *arguments))
    for part in parts:
        state, _ = step(state, [part], jnp.arange(n))
    return family, state.weights


def test_a_covariance_that_takes_too_long_is_refused_with_a_size():
    make = lambda *shape: ppca(PPCAParts(LATENT, Spec(shape, None, None), 1e-6, 1.0))
    with pytest.raises(UserError, match=r'12288 dimensions are more than 4096.*images of 36x36x3'):
        make(64, 64, 3)
    with pytest.raises(UserError, match='4097 dimensions'):
        make(4097)
    make(4096), make(36, 36, 3)


@pytest.mark.parametrize('num_batches', [1, 3])
def test_likelihood_is_that_of_scikit_learn(rows, num_batches):
    """In nats of the original x, which include each column's scale."""
    family, weights = fitted(rows, num_batches)
    log_prob = family.ability(LogProb).nats(weights, {'x': jnp.asarray(rows)}, rng_of(300))
    x = (rows - np.array(SPEC.mean)) / np.array(SPEC.std)
    reference = sklearn.decomposition.PCA(LATENT, svd_solver='full').fit(x)
    # scikit-learn's covariance divides by n - 1
    reference.explained_variance_ *= 299 / 300
    reference.noise_variance_ *= 299 / 300
    expected = reference.score_samples(x) - np.log(SPEC.std).sum()
    np.testing.assert_allclose(log_prob, expected, rtol=1e-7)


def test_posterior_is_exact(rows):
    """log p(x) = log p(x | z) + log p(z) - log p(z | x) at every z."""
    family, weights = fitted(rows)
    x, n = jnp.asarray(rows[:20]), 20
    mean, log_var = family.ability(Codes).posterior(weights, {'x': x}, rng_of(n))
    noise = np.sqrt(weights.params['model']['noise_variance']) * np.array(SPEC.std)
    for seed in range(3):
        z = np.random.default_rng(seed).normal(size=(n, LATENT))
        decoded = np.asarray(family.ability(Codes).decode(weights, jnp.asarray(z)))
        nats = scipy.stats.norm(decoded, noise).logpdf(rows[:20]).sum(1)
        nats += scipy.stats.norm.logpdf(z).sum(1)
        nats -= scipy.stats.norm(mean, np.exp(0.5 * np.asarray(log_var))).logpdf(z).sum(1)
        log_prob = family.ability(LogProb).nats(weights, {'x': x}, rng_of(n))
        np.testing.assert_allclose(nats, log_prob, rtol=1e-7)
    np.testing.assert_array_equal(family.ability(Codes).encode(weights, {'x': x}, rng_of(n)), mean)


def covariance_of(weights):
    params = jax.tree.map(np.asarray, weights.params['model'])
    covariance = params['loadings'] @ params['loadings'].T + params['noise_variance'] * np.eye(DIMS)
    scale = np.array(SPEC.std)
    return params['mean'] * scale + np.array(SPEC.mean), covariance * scale[:, None] * scale


def test_samples_have_the_model_s_moments(rows):
    family, weights = fitted(rows)
    n = 40_000
    samples = np.asarray(
        jax.jit(lambda w: family.ability(Sample).draw(w, rng_of(n), None))(weights)
    )
    mean, covariance = covariance_of(weights)
    deviation = np.sqrt(np.diag(covariance))
    assert (np.abs(samples.mean(0) - mean) < 4.5 * deviation / np.sqrt(n)).all()
    scaled_covariance = np.cov(samples.T) / deviation[:, None] / deviation
    np.testing.assert_allclose(
        scaled_covariance, covariance / deviation[:, None] / deviation, atol=0.03
    )


def test_hidden_values_are_drawn_from_their_conditional(rows):
    family, weights = fitted(rows)
    n, known = 40_000, np.array([True, False, True, False, True])
    x = np.where(known, rows[0], np.nan)
    batch = {
        'x': jnp.broadcast_to(jnp.asarray(x), (n, DIMS)),
        'known': jnp.broadcast_to(jnp.asarray(known), (n, DIMS)),
    }
    samples = np.asarray(jax.jit(family.ability(Inpaint).fill)(weights, batch, rng_of(n)))
    np.testing.assert_array_equal(samples[:, known], np.broadcast_to(rows[0][known], (n, 3)))
    mean, covariance = covariance_of(weights)
    known_covariance, cross_covariance = (
        covariance[np.ix_(known, known)],
        covariance[np.ix_(~known, known)],
    )
    gain = cross_covariance @ np.linalg.inv(known_covariance)
    expected_mean = mean[~known] + gain @ (rows[0] - mean)[known]
    expected = covariance[np.ix_(~known, ~known)] - gain @ cross_covariance.T
    deviation = np.sqrt(np.diag(expected))
    assert (np.abs(samples[:, ~known].mean(0) - expected_mean) < 4.5 * deviation / np.sqrt(n)).all()
    np.testing.assert_allclose(np.cov(samples[:, ~known].T), expected, rtol=0.1, atol=0.05)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(model__latent_dim=0), 'config.model.latent_dim=0'),
        (dict(model__latent_dim=64), 'fewer than the 64 dimensions'),
        (dict(data__dequantize='none'), 'is a density of real values'),
        (dict(model__variance_floor=0.0), 'above 0'),
        (dict(model__forgetting=-1.0), 'from 0 to 1'),
    ],
)
def test_bad_settings_end_in_one_line(tmp_path, complaint, change, message):
    assert message in complaint(assembled, tmp_path, 'ppca', **change)
