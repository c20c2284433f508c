"""Straight-through estimator, commitment loss and perplexity against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from losses import quantization

pytestmark = pytest.mark.usefixtures('strict_promotion')
RANDOM = np.random.default_rng(0)
ENCODED, QUANTIZED = jnp.asarray(RANDOM.normal(size=(2, 3, 2, 2, 5)), jnp.float32)


def test_straight_through_is_the_quantized_to_the_last_bit():
    far = 1e3 * ENCODED  # encoded + (quantized - encoded) would lose digits
    np.testing.assert_array_equal(quantization.straight_through(far, QUANTIZED), QUANTIZED)


def test_straight_through_gives_the_encoder_the_gradient_at_the_quantized():
    outer = lambda z: jnp.sum(jnp.sin(z) @ jnp.arange(5, dtype=jnp.float32))
    through = lambda *pair: outer(quantization.straight_through(*pair))
    to_encoded, to_quantized = jax.grad(through, (0, 1))(ENCODED, QUANTIZED)
    np.testing.assert_array_equal(to_encoded, jax.grad(outer)(QUANTIZED))
    np.testing.assert_array_equal(to_quantized, 0)


def test_commitment_is_the_mean_over_positions_of_squared_distances():
    expected = np.square(np.linalg.norm(ENCODED - QUANTIZED, axis=-1)).mean((1, 2))
    np.testing.assert_allclose(quantization.commitment(ENCODED, QUANTIZED), expected, rtol=1e-5)
    single_position = quantization.commitment(ENCODED[:, 0, 0], QUANTIZED[:, 0, 0])
    np.testing.assert_allclose(
        single_position, np.sum((ENCODED - QUANTIZED)[:, 0, 0] ** 2, -1), rtol=1e-5
    )


def test_commitment_pulls_the_encoder_alone():
    total = lambda *pair: jnp.sum(quantization.commitment(*pair))
    to_encoded, to_quantized = jax.grad(total, (0, 1))(ENCODED, QUANTIZED)
    np.testing.assert_allclose(to_encoded, 2 * (ENCODED - QUANTIZED) / 4, rtol=1e-5)
    np.testing.assert_array_equal(to_quantized, 0)


def test_perplexity_counts_codes_that_are_used_evenly():
    """7 equally used codes: 7; one: 1; two: 2; none: 1; shares 1/2, 1/4, 1/4: 2^1.5."""
    counts = np.zeros((5, 7), np.float32)
    counts[0], counts[1, 3], counts[2, [1, 5]], counts[4, :3] = 12, 9, 0.5, (4, 2, 2)
    expected = [7, 1, 2, 1, 2**1.5]
    np.testing.assert_allclose(quantization.perplexity(jnp.asarray(counts)), expected, rtol=1e-5)
