"""The data type that networks of any precision compute sums in."""

import jax.numpy as jnp
from jax.typing import DTypeLike


def sum_dtype(dtype: DTypeLike) -> DTypeLike:
    """Returns the dtype of sums, norms and angles: float32, or float64 if `dtype` is.

    It does not promote, so that it also works where JAX promotes no types implicitly.
    """
    return jnp.float64 if dtype == jnp.float64 else jnp.float32
