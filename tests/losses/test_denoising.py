"""The terms of a diffusion model's bound against scipy, quadrature and enumeration."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from losses.denoising import denoising_error, density_nats, levels_nats, prior_kl

pytestmark = pytest.mark.usefixtures('strict_promotion')

X = jnp.asarray([[[0.5, -1.0], [0.25, 2.0]], [[1.0, 0.0], [-0.75, 0.1]]])
X_T = 0.7 * X + 0.2
VALUES = jnp.asarray([-1.0, 0.0, 0.5, 1.0])


def scales(alpha, sigma):
    return jnp.float32(alpha), jnp.float32(sigma)


@pytest.mark.parametrize(('alpha', 'sigma'), [(0.3, 0.954), (1.0, 80.0), (0.5, 0.5)])
def test_the_prior_term_is_the_divergence_by_quadrature(alpha, sigma):
    std = np.hypot(alpha, sigma)

    def divergence(x):
        q, p = scipy.stats.norm(alpha * x, sigma), scipy.stats.norm(0.0, std)
        integrand = lambda z: q.pdf(z) * (q.logpdf(z) - p.logpdf(z))
        ends = alpha * x - 12 * sigma, alpha * x + 12 * sigma
        return scipy.integrate.quad(integrand, *ends, epsabs=1e-12)[0]

    expected = np.vectorize(divergence)(np.float64(X)).sum((1, 2))
    np.testing.assert_allclose(prior_kl(X, *scales(alpha, sigma)), expected, rtol=1e-4, atol=1e-6)


def test_the_density_is_scipys():
    expected = -scipy.stats.norm.logpdf(X, X_T / 0.8, 0.6 / 0.8).sum((1, 2))
    np.testing.assert_allclose(density_nats(X, X_T, *scales(0.8, 0.6)), expected, rtol=1e-5)


def test_level_probabilities_are_proportional_to_their_densities():
    level = jnp.asarray([[[0.0, 1.0], [2.0, 3.0]], [[3.0, 3.0], [0.0, 1.0]]])
    density = scipy.stats.norm.pdf(X_T[..., None], 0.8 * VALUES, 0.6)
    probabilities = density / density.sum(-1, keepdims=True)
    chosen = np.take_along_axis(probabilities, np.int32(level)[..., None], -1)
    nats = levels_nats(level, X_T, VALUES, *scales(0.8, 0.6))
    np.testing.assert_allclose(nats, -np.log(chosen).sum((1, 2, 3)), rtol=1e-5)


def test_the_probabilities_of_all_levels_sum_to_one():
    each = [
        levels_nats(jnp.full((1, 1), float(i)), jnp.full((1, 1), 0.3), VALUES, *scales(0.8, 0.6))
        for i in range(4)
    ]
    np.testing.assert_allclose(np.exp(-np.concatenate(each)).sum(), 1.0, rtol=1e-6)


def test_the_error_is_weighted_by_row():
    error = denoising_error(X, jnp.zeros_like(X), jnp.asarray([2.0, 0.5]))
    np.testing.assert_allclose(error, [2.0, 0.5] * np.square(X).sum((1, 2)), rtol=1e-6)


@pytest.mark.parametrize('shape', [(), (1,), (2, 1)])
def test_another_shape_of_weights_is_refused(shape):
    with pytest.raises((ValueError, TypeError)):
        denoising_error(X, X, jnp.ones(shape))


def test_levels_and_x_of_other_shapes_are_refused():
    with pytest.raises((ValueError, TypeError)):
        levels_nats(jnp.zeros((2, 2)), X_T, VALUES, *scales(0.8, 0.6))
