"""How much each noise changes, and what it leaves unchanged."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from atelier.data.corruption import NOISES, gaussian, masking, salt_and_pepper

KEY = jax.random.PRNGKey(0)
X = jnp.full((200, 100), 0.3)


def test_gaussian_has_the_deviation_of_its_level():
    noise = np.asarray(gaussian(X, KEY, 0.25, 0, 1)) - 0.3
    np.testing.assert_allclose(noise.std(), 0.25, rtol=0.02)
    np.testing.assert_allclose(noise.mean(), 0, atol=0.01)


def test_masking_hides_a_share():
    masked = np.asarray(masking(X, KEY, 0.2, 0, 1))
    np.testing.assert_allclose(np.mean(masked == 0), 0.2, atol=0.01)
    assert set(np.unique(masked)) == {0, np.float32(0.3)}


def test_salt_and_pepper_are_the_extremes_of_each_column():
    low, high = jnp.linspace(-2, -1, 100), jnp.linspace(2, 4, 100)
    noisy = np.asarray(salt_and_pepper(X, KEY, 0.4, low, high))
    is_low, is_high = noisy == low, noisy == high
    np.testing.assert_allclose([is_low.mean(), is_high.mean()], [0.2, 0.2], atol=0.01)
    np.testing.assert_array_equal(noisy[~is_low & ~is_high], np.float32(0.3))


@pytest.mark.parametrize('name', NOISES)
def test_noise_depends_on_the_key_alone(name):
    one, repeated = (np.asarray(NOISES[name](X, KEY, 0.5, 0.0, 1.0)) for _ in range(2))
    other = np.asarray(NOISES[name](X, jax.random.PRNGKey(1), 0.5, 0.0, 1.0))
    np.testing.assert_array_equal(one, repeated)
    assert np.mean(one != other) > 0.3
