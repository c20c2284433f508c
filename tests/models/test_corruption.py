"""Corruptions: how much they change, that keys decide, and what they leave alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import game
from models.corruption import CORRUPTIONS, gaussian, masking, salt_and_pepper

pytestmark = pytest.mark.usefixtures('strict_promotion')

N, EVENT = 400, (5, 4, 3)
KINDS = [name for name in CORRUPTIONS if name != 'none']


def keys(n=N, seed=0):
    return game.draw_for(jax.random.PRNGKey(seed), jnp.arange(n), n).keys


def examples(value=0.3):
    return jnp.full((N, *EVENT), value)


def is_near(share, chance):
    """Within five deviations of as many independent draws as there are numbers."""
    return abs(share - chance) < 5 * np.sqrt(chance * (1 - chance) / (N * np.prod(EVENT)))


@pytest.mark.parametrize('strength', [0.1, 0.6])
def test_gaussian_noise_has_the_deviation_and_no_mean(strength):
    noise = np.asarray(jax.jit(gaussian)(examples(), keys(), strength) - examples())
    assert abs(noise.mean()) < 5 * strength / np.sqrt(noise.size)
    np.testing.assert_allclose(noise.std(), strength, rtol=0.02)
    assert abs(np.corrcoef(noise[:, 0, 0, 0], noise[:, 0, 0, 1])[0, 1]) < 5 / np.sqrt(N)


@pytest.mark.parametrize('strength', [0.1, 0.6])
def test_masking_sets_a_share_to_zero_and_keeps_the_rest(strength):
    x = np.asarray(jax.jit(masking)(examples(), keys(), strength))
    assert set(np.unique(x)) == {0.0, np.float32(0.3)}
    assert is_near(np.mean(x == 0), strength)


@pytest.mark.parametrize('strength', [0.1, 0.6])
def test_salt_and_pepper_are_as_many(strength):
    x = np.asarray(jax.jit(salt_and_pepper)(examples(), keys(), strength))
    assert set(np.unique(x)) == {0.0, np.float32(0.3), 1.0}
    assert is_near(np.mean(x == 0), strength / 2)
    assert is_near(np.mean(x == 1), strength / 2)


@pytest.mark.parametrize('name', KINDS)
def test_strength_zero_changes_nothing(name):
    np.testing.assert_array_equal(CORRUPTIONS[name](examples(), keys(), 0.0), examples())


@pytest.mark.parametrize('name', [name for name in KINDS if name != 'gaussian'])
def test_strength_one_leaves_nothing(name):
    assert not np.any(CORRUPTIONS[name](examples(), keys(), 1.0) == examples())


@pytest.mark.parametrize('name', KINDS)
def test_a_row_is_a_function_of_its_key(name):
    corrupt = jax.jit(CORRUPTIONS[name])
    whole = np.asarray(corrupt(examples(), keys(), 0.5))
    np.testing.assert_array_equal(corrupt(examples()[7:9], keys()[7:9], 0.5), whole[7:9])
    assert len(np.unique(whole, axis=0)) == N
    assert not np.array_equal(corrupt(examples(), keys(seed=1), 0.5), whole)
