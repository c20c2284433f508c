"""The total correlation of codes against mixtures with known total correlation."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
import scipy.stats

from losses.total_correlation import total_correlation


def drawn(means, log_vars, n):
    """Draws n codes from the uniform mixture of these Gaussians."""
    random = np.random.default_rng(0)
    rows = random.integers(len(means), size=n)
    noise = random.normal(size=(n, means.shape[1]))
    return jnp.float32(means[rows] + np.exp(0.5 * log_vars[rows]) * noise)


def test_of_one_posterior_for_all_it_is_zero():
    means = np.tile([[1.0, -2.0, 0.5]], (6, 1))
    log_vars = np.tile([[0.1, -1.0, 0.4]], (6, 1))
    tc = total_correlation(drawn(means, log_vars, 50), jnp.float32(means), jnp.float32(log_vars))
    np.testing.assert_allclose(tc, 0, atol=1e-5)


def test_of_two_copies_of_a_dimension_it_is_their_entropy():
    """With n equally likely posteriors far apart, every code's estimate is log n nats."""
    means = np.repeat(100.0 * np.arange(7)[:, None], 2, 1)
    log_vars = np.zeros_like(means)
    tc = total_correlation(drawn(means, log_vars, 30), jnp.float32(means), jnp.float32(log_vars))
    np.testing.assert_allclose(tc, np.log(7), rtol=1e-4)


def test_its_mean_is_the_divergence_from_the_product_of_the_marginals():
    """KL(q(z_1, z_2) || q(z_1) q(z_2)) of a mixture of three Gaussians, summed over a grid."""
    means = np.array([[-1.0, -1.0], [0.0, 0.5], [1.5, 1.0]])
    log_vars = np.log(np.array([[0.3, 0.2], [0.1, 0.4], [0.2, 0.3]]))
    ticks = np.linspace(-5, 6, 441)
    parts = [
        [scipy.stats.norm(m, np.exp(0.5 * v)).pdf(ticks) for m, v in zip(*pair, strict=True)]
        for pair in zip(means.T, log_vars.T, strict=True)
    ]
    joint = np.mean([np.outer(a, b) for a, b in zip(*parts, strict=True)], 0)
    product = np.outer(*(np.mean(part, 0) for part in parts))
    exact = np.sum(joint * np.log(joint / product)) * (ticks[1] - ticks[0]) ** 2
    z = drawn(means, log_vars, 40_000)
    tc = jax.jit(total_correlation)(z, jnp.float32(means), jnp.float32(log_vars))
    error = np.std(tc) / np.sqrt(len(tc))
    assert exact > 0.2
    assert abs(np.mean(tc, dtype=np.float64) - exact) < 4 * error


@pytest.mark.parametrize(
    'shapes',
    [((3,), (4, 2), (4, 2)), ((3, 2), (4, 1), (4, 1)), ((3, 2), (4, 2), (1, 2))],
)
def test_it_refuses_shapes_that_would_broadcast(shapes):
    with pytest.raises((ValueError, jaxtyping.TypeCheckError)):
        total_correlation(*map(jnp.zeros, shapes))
