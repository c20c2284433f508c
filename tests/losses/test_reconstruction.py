"""losses/reconstruction.py against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from losses.reconstruction import cross_entropy, half_squared_error

pytestmark = pytest.mark.usefixtures('strict_promotion')


def test_half_the_squared_error_is_minus_a_log_density_but_for_its_constant():
    x, mean = np.random.default_rng(0).normal(size=(2, 3, 2, 2))
    density = scipy.stats.norm(mean, 1).logpdf(x).sum((1, 2))
    constant = 2 * np.log(2 * np.pi)  # 1/2 log 2 pi for each of four values
    actual = jax.jit(half_squared_error)(jnp.float32(x), jnp.float32(mean))
    np.testing.assert_allclose(actual, -density - constant, rtol=1e-5, atol=1e-5)


def test_the_slope_of_half_the_squared_error_is_the_deviation():
    x, mean = jax.random.normal(jax.random.PRNGKey(0), (2, 3, 4))
    slope = jax.grad(lambda mean: half_squared_error(x, mean).sum())(mean)
    np.testing.assert_allclose(slope, mean - x, rtol=1e-6)


@settings(max_examples=20)
@given(
    x=st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4),
    logits=st.lists(st.floats(-20, 20, width=32), min_size=4, max_size=4),
)
def test_the_cross_entropy_is_its_formula(x, logits):
    x, logits = np.float64(x).reshape(2, 2), np.float64(logits).reshape(2, 2)
    log_m, log_rest = scipy.special.log_expit(logits), scipy.special.log_expit(-logits)
    expected = -(x * log_m + (1 - x) * log_rest).sum(1)
    actual = jax.jit(cross_entropy)(jnp.float32(x), jnp.float32(logits))
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def test_the_cross_entropy_of_grey_is_smallest_at_the_grey_and_not_zero():
    x = jnp.asarray([[0.2, 0.5, 0.9]])
    best = jax.scipy.special.logit(x)
    assert np.abs(jax.grad(lambda logits: cross_entropy(x, logits).sum())(best)).max() < 1e-6
    entropy = scipy.stats.bernoulli(np.asarray(x)).entropy().sum()
    np.testing.assert_allclose(cross_entropy(x, best), [entropy], rtol=1e-5)
    assert entropy > 1
