"""The codebook: nearest codes by brute force, moving averages by hand, restarts of dead codes."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from atelier.core.randomness import rng_for
from losses import quantization
from models.autoencoders import codebook as codebooks

pytestmark = pytest.mark.usefixtures('strict_promotion')
RANDOM = np.random.default_rng(0)
DRAW = rng_for(jax.random.PRNGKey(0), jnp.arange(6), 6)
UPDATE = jax.jit(codebooks.updated)


def normal(*shape):
    return jnp.asarray(RANDOM.normal(size=shape), jnp.float32)


def test_nearest_is_the_nearest():
    vectors, embedding = normal(6, 3, 2, 5), normal(11, 5)
    distances = np.square(np.asarray(vectors)[..., None, :] - np.asarray(embedding)).sum(-1)
    codes = codebooks.nearest(vectors, embedding)
    np.testing.assert_array_equal(codes, distances.argmin(-1))
    assert len(np.unique(codes)) > 5


def test_a_code_is_nearest_to_itself_also_far_from_the_origin():
    embedding = 100.0 + 0.2 * normal(50, 8)
    np.testing.assert_array_equal(codebooks.nearest(embedding, embedding), np.arange(50))


def test_vectors_of_other_dimensions_are_refused():
    with pytest.raises((ValueError, jaxtyping.TypeCheckError)):
        codebooks.nearest(normal(6, 3), normal(4, 2))


def test_initial_codes_are_different_vectors_of_the_batch_with_equal_counts():
    vectors = normal(6, 4, 3)
    codebook = codebooks.from_vectors(jax.random.PRNGKey(0), vectors, 24)  # all of them
    sorted_rows = lambda rows: sorted(map(tuple, np.asarray(rows).round(4).tolist()))
    assert sorted_rows(codebook.embedding) == sorted_rows(vectors.reshape(24, 3))
    np.testing.assert_allclose(codebook.counts, 1)
    repeating = codebooks.from_vectors(jax.random.PRNGKey(0), vectors[:1], 9)  # of four vectors
    assert repeating.embedding.shape == (9, 3)
    np.testing.assert_allclose(repeating.counts, 4 / 9)


def test_codes_are_quotients_of_moving_averages():
    """In float64 over ten batches, with weights (1 - g) g^age, and g^10 for the initial values."""
    decay, codebook = 0.8, codebooks.from_vectors(jax.random.PRNGKey(1), normal(6, 4, 3), 5)
    counts, sums = (0.8**10 * np.asarray(a, np.float64) for a in (codebook.counts, codebook.sums))
    for age in reversed(range(10)):
        vectors = normal(6, 4, 3)
        codes = codebooks.nearest(vectors, codebook.embedding)
        one_hot = np.eye(5)[np.asarray(codes).ravel()]
        counts += 0.2 * 0.8**age * one_hot.sum(0)
        sums += 0.2 * 0.8**age * one_hot.T @ np.asarray(vectors, np.float64).reshape(-1, 3)
        codebook = UPDATE(codebook, vectors, codes, DRAW, decay, 0.0)
    np.testing.assert_allclose(codebook.counts, counts, rtol=1e-5)
    np.testing.assert_allclose(codebook.sums, sums, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(codebook.embedding, sums / counts[:, None], rtol=1e-4, atol=1e-5)


def test_smoothing_keeps_the_sum_and_unused_codes_finite():
    codebook = codebooks.Codebook(normal(3, 2), jnp.asarray([6.0, 0.0, 0.0]), jnp.zeros((3, 2)))
    updated = UPDATE(codebook, normal(6, 2), jnp.zeros(6, jnp.int32), DRAW, 0.9, 0.0)
    assert np.isfinite(updated.embedding).all()
    shares = np.exp(codebooks.log_shares(updated))
    np.testing.assert_allclose(shares.sum(), 1, rtol=1e-6)
    np.testing.assert_allclose(shares[1:], codebooks.SMOOTHING / 6, rtol=1e-3)


def test_an_unused_code_restarts_at_a_vector_of_the_batch():
    vectors = normal(6, 2, 4)
    embedding = jnp.concatenate([normal(2, 4), jnp.full((2, 4), 1e3)])  # two are out of reach
    counts = jnp.asarray([6.0, 6.0, 0.31, 0.29])
    codebook = codebooks.Codebook(embedding, counts, counts[:, None] * embedding)
    codes = codebooks.nearest(vectors, embedding)
    updated = UPDATE(codebook, vectors, codes, DRAW, 0.99, 0.1)  # below 0.1 * 12 / 4 = 0.3
    np.testing.assert_allclose(updated.counts[3], 3)
    distance = np.abs(np.asarray(vectors).reshape(-1, 4) - np.asarray(updated.embedding[3])).max(-1)
    assert distance.min() < 1e-4
    not_restarted = UPDATE(codebook, vectors, codes, DRAW, 0.99, 0.0)
    for with_restart, without_restart in zip(updated, not_restarted, strict=True):
        np.testing.assert_allclose(with_restart[:3], without_restart[:3], rtol=1e-4)
    np.testing.assert_allclose(not_restarted.embedding[3], 1e3, rtol=1e-3)


def perplexity_after_training(restart_below, num_steps=150):
    """Final perplexity of 12 codes on eight clusters; all codes but the first start far away."""
    angle = 2 * np.pi * np.arange(8) / 8
    centres = np.stack([np.cos(angle), np.sin(angle)], 1)
    start = jnp.asarray(np.concatenate([centres[:1], np.full((11, 2), 50.0)]), jnp.float32)
    counts = jnp.full((12,), 64 / 12, jnp.float32)
    codebook = codebooks.Codebook(start, counts, counts[:, None] * start)
    for step in range(num_steps):
        noise = 0.01 * RANDOM.normal(size=(64, 2))
        vectors = jnp.asarray(centres[np.arange(64) % 8] + noise, jnp.float32)
        codes = codebooks.nearest(vectors, codebook.embedding)
        rng = rng_for(jax.random.PRNGKey(step), jnp.arange(64), 64)
        codebook = UPDATE(codebook, vectors, codes, rng, 0.9, restart_below)
    return float(quantization.perplexity(codebooks.count(codes, 12)[None])[0])


@pytest.mark.slow
def test_restarting_dead_codes_covers_all_clusters():
    np.testing.assert_allclose(perplexity_after_training(0.0), 1, rtol=1e-5)
    assert perplexity_after_training(0.1) > 6
