"""Dropout (Srivastava et al. 2014) whose zeros belong to the example and not to the device."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32


def dropped(
    units: Float[Array, 'batch *units'], keys: UInt32[Array, 'batch 2'], share: float
) -> Float[Array, 'batch *units']:
    """Zeros in place of a `share` of the units, the others scaled up."""
    keep = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - share, units.shape[1:]))(keys)
    return jnp.where(keep, units / (1 - share), 0.0)
