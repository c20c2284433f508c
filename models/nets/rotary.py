"""Rotary position embedding (Su et al. 2021, RoFormer, section 3.2)."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

SLOWEST = 10_000.0  # as many times as long as the fastest turn is nearly the slowest one


def turned(
    numbers: Float[Array, 'batch heads tokens even'], positions: Int[Array, 'tokens']
) -> Float[Array, 'batch heads tokens even']:
    """Each pair of numbers turned by its position times its pair's angle, as if a complex number.

    The product of two turned vectors depends on the vectors and on how far their positions lie
    apart, and on nothing else. Number i and the i-th of the second half are a pair (the paper has
    2i and 2i + 1: the same in another order), and turn by SLOWEST^(-i / pairs) a position.
    """
    pairs = numbers.shape[-1] // 2
    wide = jnp.promote_types(numbers.dtype, jnp.float32)
    angles = positions[:, None] * SLOWEST ** -(jnp.arange(pairs, dtype=wide) / pairs)
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    first, second = jnp.split(numbers.astype(wide), 2, -1)
    both = jnp.concatenate([cos * first - sin * second, sin * first + cos * second], -1)
    return both.astype(numbers.dtype)
