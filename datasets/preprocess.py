"""What happens to one example on the device before a model sees it."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32


def as_float(raw: dict[str, Array], keys: UInt32[Array, 'batch 2']) -> dict[str, Array]:
    """Stored numbers as they are: x in float32, labels in int32."""
    del keys
    dtypes = {'x': jnp.float32, 'label': jnp.int32}
    return {name: value.astype(dtypes[name]) for name, value in raw.items()}


def threshold(x: Float[Array, '*event'], key, top: int) -> Float[Array, '*event']:
    """1 where x lies above half of its range 0..top."""
    del key
    return (x > top / 2).astype(x.dtype)


def stochastic(x: Float[Array, '*event'], key, top: int) -> Float[Array, '*event']:
    """Each pixel is 1 with probability x / top: another picture at every showing."""
    return jax.random.bernoulli(key, x / top).astype(x.dtype)


BINARIZATIONS = {'none': None, 'threshold': threshold, 'stochastic': stochastic}
