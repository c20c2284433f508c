"""Dropout (Srivastava et al. 2014) with masks that depend on the example, not on the device."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32


def dropout(
    units: Float[Array, 'batch *units'], keys: UInt32[Array, 'batch 2'], rate: float
) -> Float[Array, 'batch *units']:
    """Sets each unit to zero with probability `rate`, and divides the others by 1 - rate."""
    keep = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - rate, units.shape[1:]))(keys)
    return jnp.where(keep, units / (1 - rate), 0.0)
