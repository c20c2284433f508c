"""Corruptions of normalized examples, for denoising autoencoders (Vincent et al. 2010, section 3).

Each takes examples, a key for each of them, and a strength that may be traced.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

import game

Events = Float[Array, 'batch *event']
Keys = UInt32[Array, 'batch 2']


def gaussian(x: Events, keys: Keys, strength) -> Events:
    """x + strength * noise of variance 1, not clipped; strength in units of normalized x."""
    return x + strength * game.standard_normal(keys, *x.shape[1:])


def masking(x: Events, keys: Keys, strength) -> Events:
    """0 in place of each number with chance `strength`: black, or the mean of real-valued data."""
    return jnp.where(_uniform(keys, x, 0) < strength, 0.0, x)


def salt_and_pepper(x: Events, keys: Keys, strength) -> Events:
    """0 or 1, by a fair coin, in place of each number with chance `strength`; x in [0, 1]."""
    extreme = jnp.where(_uniform(keys, x, 1) < 0.5, 0.0, 1.0)
    return jnp.where(_uniform(keys, x, 0) < strength, extreme, x)


CORRUPTIONS: dict[str, Callable | None] = {
    'none': None,
    'gaussian': gaussian,
    'masking': masking,
    'salt_and_pepper': salt_and_pepper,
}


def _uniform(keys: Keys, x: Events, number: int) -> Events:
    """Numbers in [0, 1) of the shape of x, the draws of one kind."""
    draw = lambda key: jax.random.uniform(key, x.shape[1:])
    return jax.vmap(draw)(game.part_of(keys, number))
