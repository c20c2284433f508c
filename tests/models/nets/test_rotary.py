"""Rotary positions: complex rotations; inner products depend on distances only."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.nets.rotary import rotated


def vectors(seed, dim=6):
    return jax.random.normal(jax.random.PRNGKey(seed), (2, 5, 3, dim))


def test_pairs_are_rotated_as_complex_numbers():
    x, positions = vectors(0), jnp.array([0, 1, 2, 7, 60])
    actual = np.asarray(jax.jit(rotated)(x, positions))
    as_complex = np.asarray(x[..., :3]) + 1j * np.asarray(x[..., 3:])
    angles = np.outer(positions, [1.0, 10_000 ** (-1 / 3), 10_000 ** (-2 / 3)])[:, None]
    expected = as_complex * np.exp(1j * angles)
    np.testing.assert_allclose(
        actual, np.concatenate([expected.real, expected.imag], -1), atol=1e-5
    )


@pytest.mark.parametrize('shift', [1, 30])
def test_products_depend_on_distances_alone(shift):
    queries, keys, positions = vectors(1), vectors(2), jnp.arange(5)
    products = lambda at: jnp.einsum('bqhn,bkhn->bhqk', rotated(queries, at), rotated(keys, at))
    unshifted, shifted = products(positions), products(positions + shift)
    np.testing.assert_allclose(unshifted, shifted, atol=1e-4)
    assert np.abs(unshifted - jnp.einsum('bqhn,bkhn->bhqk', queries, keys)).max() > 0.1
