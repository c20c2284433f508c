"""Preprocessing of stored values: each rule, and the fixed binarisation that evaluations share."""

import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from atelier.data import preprocess

pytestmark = pytest.mark.usefixtures('strict_promotion')

LEVELS = np.broadcast_to(np.arange(17, dtype=np.uint8), (2500, 17))  # every level, 2,500 times


def keys(n, seed=0):
    return jax.random.split(jax.random.PRNGKey(seed), n)


def assert_frequencies(bits, top):
    """Checks bits [n, top + 1]: column x is 1 at rate x / top, to five standard errors."""
    chance = np.arange(top + 1) / top
    error = np.sqrt(chance * (1 - chance) / len(bits))
    assert np.all(np.abs(np.mean(bits, axis=0) - chance) <= 5 * error)


# The fixed binarisation


def test_the_fixed_draw_is_frozen():
    """A change would give another test set; results would not be comparable with earlier ones."""
    x = (np.arange(12_340) % 256).astype(np.uint8).reshape(1234, 5, 2)
    assert zlib.crc32(preprocess.fixed_draw(x, 255).tobytes()) == 0x729772CF
    half = preprocess.fixed_draw(np.full((2, 8), 8, np.uint8), 16) // 16
    assert half.tolist() == [[0, 0, 0, 0, 0, 1, 1, 1], [1, 0, 0, 0, 0, 1, 0, 1]]


@pytest.mark.parametrize('dtype', [np.uint8, np.int32, np.float32])
def test_the_fixed_draw_has_the_type_of_x_and_two_values(dtype):
    x = LEVELS.astype(dtype)
    drawn = preprocess.fixed_draw(x, 16)
    assert (drawn.dtype, drawn.shape) == (x.dtype, x.shape)
    assert np.unique(drawn).tolist() == [0, 16]
    np.testing.assert_array_equal(x, LEVELS)  # x itself is unchanged


@pytest.mark.parametrize('n', [1, 7, 999, 1000, 1001, 2001])
def test_the_fixed_draw_of_an_example_does_not_depend_on_how_many_follow(n):
    whole = preprocess.fixed_draw(LEVELS, 16)
    np.testing.assert_array_equal(preprocess.fixed_draw(LEVELS[:n], 16), whole[:n])


def test_the_fixed_draw_has_the_right_frequencies():
    assert_frequencies(preprocess.fixed_draw(LEVELS, 16) / 16, 16)


def test_the_fixed_draw_differs_between_examples_and_pixels():
    drawn = preprocess.fixed_draw(np.full((2500, 20), 8, np.uint8), 16) / 16
    correlations = np.corrcoef(drawn.T)[~np.eye(20, dtype=bool)]
    assert np.all(np.abs(correlations) < 5 / np.sqrt(2500))
    assert np.abs(np.mean(drawn[1:] == drawn[:-1]) - 0.5) < 5 * 0.5 / np.sqrt(drawn.size)


@pytest.mark.parametrize('top', [1, 16, 255, 299])
def test_stochastic_leaves_a_fixed_draw_as_it_is(top):
    """So training's preprocessing also serves validation and test, whatever the key."""
    x = np.random.RandomState(0).randint(0, top + 1, (200, 9)).astype(np.int32)
    drawn = preprocess.fixed_draw(x, top)
    for seed in range(3):
        apply = preprocess.then(
            preprocess.as_float, lambda x, key: preprocess.stochastic(x, key, top)
        )
        batch = apply({'x': jnp.asarray(drawn)}, keys(200, seed))
        np.testing.assert_array_equal(batch['x'], drawn // top)


# The rules


def test_as_float_changes_types_and_nothing_else():
    raw = {'x': jnp.asarray(LEVELS[:3]), 'label': jnp.asarray([2, 0, 1], jnp.uint8)}
    batch = preprocess.as_float(raw, keys(3))
    assert {name: value.dtype for name, value in batch.items()} == {
        'x': jnp.float32,
        'label': jnp.int32,
    }
    for name, value in raw.items():
        np.testing.assert_array_equal(batch[name], value)


def test_a_rule_gets_each_example_with_its_own_key_and_without_its_label():
    raw = {'x': jnp.zeros((4, 3), jnp.uint8), 'label': jnp.arange(4)}
    given = keys(4)
    batch = preprocess.then(preprocess.as_float, lambda x, key: x + jnp.float32(key[1] >> 9))(
        raw, given
    )
    expected = np.broadcast_to((np.asarray(given)[:, 1] >> 9)[:, None], (4, 3))
    np.testing.assert_array_equal(batch['x'], expected)
    np.testing.assert_array_equal(batch['label'], np.arange(4))


@pytest.mark.parametrize(('top', 'first_one'), [(1, 1), (2, 2), (16, 9), (255, 128)])
def test_threshold_is_one_above_half_of_the_range(top, first_one):
    x = jnp.arange(top + 1, dtype=jnp.float32)
    bits = preprocess.threshold(x, None, top)
    assert bits.dtype == jnp.float32
    np.testing.assert_array_equal(bits, np.arange(top + 1) >= first_one)


def test_stochastic_has_the_right_frequencies():
    bits = jax.vmap(lambda x, key: preprocess.stochastic(x, key, 16))(
        jnp.asarray(LEVELS, jnp.float32), keys(len(LEVELS))
    )
    assert bits.dtype == jnp.float32
    assert np.unique(bits).tolist() == [0, 1]
    assert_frequencies(np.asarray(bits, np.float64), 16)


@pytest.mark.parametrize('level', [0, 1, 100])
def test_uniform_adds_noise_of_one_level(level):
    x = jnp.full((2**16,), float(level))
    noisy = preprocess.uniform(x, jax.random.PRNGKey(0))
    assert noisy.dtype == jnp.float32
    noise = np.asarray(noisy, np.float64) - level
    # Mean, variance and share in each quarter of a uniform variable, to five standard errors.
    assert abs(noise.mean() - 1 / 2) < 5 * np.sqrt(1 / 12 / noise.size)
    assert abs(noise.var() - 1 / 12) < 5 * np.sqrt(1 / 180 / noise.size)
    quarters = np.bincount(np.int64(noise * 4), minlength=4) / noise.size
    assert np.all(np.abs(quarters - 1 / 4) < 5 * np.sqrt(3 / 16 / noise.size))


@pytest.mark.parametrize('level', [0, 1, 255])
def test_the_integer_part_is_the_level(level):
    x = jnp.full((2**20,), float(level))
    noisy = preprocess.uniform(x, jax.random.PRNGKey(0))
    np.testing.assert_array_equal(np.floor(noisy), x)
