"""`Sample.mean` is E[x | z] of the same z from which `Sample.draw` draws x."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, first_batch, scattered

from atelier.core.abilities import Codes, Sample
from atelier.core.randomness import rng_for

N = 4000
BINOMIAL = {'model__observation': 'binomial'}  # its mean is exact
FAMILIES = {
    'vae': ('digits,debug', BINOMIAL),
    'cvae': ('digits,debug', BINOMIAL),
    'hierarchical_vae': ('digits,debug', BINOMIAL),
    'ladder_vae': ('digits,debug', BINOMIAL),
    'ppca': ('grid,debug', {}),
    'mixture': ('digits,debug', {}),
    'naive_bayes': ('digits,debug', {}),
}
QUICK = ('ppca',)


def rng_of(n):
    return rng_for(jax.random.PRNGKey(7), jnp.arange(n), n)


def drawn(tmp_path, name, condition=None):
    """(family, weights, draws of N examples, their means), [N, dims], in float64."""
    argument, changes = FAMILIES[name]
    run = assembled(tmp_path / 'run', name, argument, **changes)
    weights = jax.jit(run.family.init)(jax.random.PRNGKey(0), first_batch(run, 64))
    weights = weights._replace(params=scattered(weights.params))
    ability = run.family.ability(Sample)

    @jax.jit
    def both(weights, condition):
        rng = rng_of(N)
        return ability.draw(weights, rng, condition), ability.mean(weights, rng, condition)

    x, mean = (np.asarray(a, np.float64) for a in both(weights, condition))
    assert x.shape == mean.shape == (N, *run.data.spec.event_shape)
    return run.family, weights, x.reshape(N, -1), mean.reshape(N, -1)


def z_scores(residual, weight):
    """Standard scores of the mean of `residual * weight` over examples; 0 where it is constant."""
    terms = residual * weight
    scale = np.sqrt(np.square(terms).sum(0))
    return np.where(scale > 1e-6, terms.sum(0) / np.maximum(scale, 1e-6), 0.0)


@pytest.mark.parametrize(
    'name', [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in FAMILIES]
)
def test_draws_scatter_around_the_mean_of_their_own_codes(tmp_path, name):
    """The residual x - E[x | z] has mean 0, and no correlation with E[x | z] in any dimension."""
    _, _, x, mean = drawn(tmp_path, name)
    residual, deviation = x - mean, mean - mean.mean(0)
    assert residual.std() > 0.01 * x.std() and deviation.std() > 0.01 * x.std()
    for weight in (1.0, deviation):
        assert np.abs(z_scores(residual, weight)).max() < 5
    # of other codes, the residual is correlated with the mean
    other = np.roll(mean, 1, axis=0)
    assert np.abs(z_scores(x - other, other - mean.mean(0))).max() > 5


@pytest.mark.parametrize(
    'name',
    ['ppca', *(pytest.param(n, marks=pytest.mark.slow) for n in ('vae', 'hierarchical_vae'))],
)
def test_the_mean_decodes_draws_of_the_prior(tmp_path, name):
    family, weights, _, mean = drawn(tmp_path, name)
    codes = family.ability(Codes)
    decoded = jax.jit(lambda w: codes.decode(w, codes.prior(w, rng_of(N))))(weights)
    np.testing.assert_allclose(mean, np.asarray(decoded).reshape(N, -1), rtol=1e-4, atol=1e-4)


def test_the_noise_of_probabilistic_pca_is_isotropic(tmp_path):
    """Closed form: x - E[x | z] is Gaussian, with the noise variance of normalized x."""
    _, weights, x, mean = drawn(tmp_path, 'ppca')
    run = assembled(tmp_path / 'again', 'ppca', 'grid,debug')
    _, scale = run.data.spec.affine(run.data.spec.event_shape)
    variance = np.square((x - mean) / np.asarray(scale)).mean(0)
    expected = float(weights.params['model']['noise_variance'])
    np.testing.assert_allclose(variance, expected, rtol=5 * np.sqrt(2 / N))


@pytest.mark.parametrize('name', ['naive_bayes', pytest.param('cvae', marks=pytest.mark.slow)])
def test_the_mean_is_that_of_the_requested_class(tmp_path, name):
    label = jnp.arange(N) % 2
    _, _, x, mean = drawn(tmp_path, name, {'label': label})
    for k in (0, 1):
        assert np.abs(z_scores((x - mean)[label == k], 1.0)).max() < 5
    if name == 'naive_bayes':  # given the class, x has no other latent variable
        assert len(np.unique(mean.round(4), axis=0)) == 2


@pytest.mark.parametrize('name', ['gan', 'realnvp', 'vae_gan'])
def test_a_family_without_noise_of_x_given_z_has_no_mean(tmp_path, name):
    assert assembled(tmp_path, name, 'moons,debug').family.ability(Sample).mean is None
