"""Rotary position embedding (Su et al. 2021, RoFormer, section 3.2)."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from models.nets.dtypes import sum_dtype

SLOWEST = 10_000.0  # the slowest rotation's period is nearly this many times the fastest one's


def rotated(
    vectors: Float[Array, 'batch tokens heads even'], positions: Int[Array, 'tokens']
) -> Float[Array, 'batch tokens heads even']:
    """Rotates each pair of dimensions, as a complex number, by position times the pair's angle.

    The inner product of two rotated vectors depends only on the vectors and on the difference of
    their positions. Dimension i of the first half and dimension i of the second half are a pair
    (in the paper 2i and 2i + 1, which is the same in another order), rotated by
    SLOWEST^(-i / pairs) per position.
    """
    pairs = vectors.shape[-1] // 2
    wide = sum_dtype(vectors.dtype)
    angles = positions[:, None, None] * SLOWEST ** -(jnp.arange(pairs, dtype=wide) / pairs)
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    first, second = jnp.split(vectors.astype(wide), 2, -1)
    rotated_halves = jnp.concatenate([cos * first - sin * second, sin * first + cos * second], -1)
    return rotated_halves.astype(vectors.dtype)
