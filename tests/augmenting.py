"""Augmentations with chosen numbers instead of random ones, for tests."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from atelier.data.augmentation_draws import CHANCES, PARAMETERS, Draws


class Chosen(Draws):
    """All numbers are 1/2, the middle, but for those given by name; everything is applied."""

    def __init__(self, batch, numbers):
        self._probability = 1.0
        names = (*PARAMETERS, *(f'applied_{name}' for name in CHANCES))
        values = {name: jnp.asarray(numbers.get(name, 0.5), jnp.float32) for name in names}
        self._uniform = {name: jnp.broadcast_to(value, (batch,)) for name, value in values.items()}


@functools.cache
def keys_of(n, seed=0):
    """A key for each of n examples."""
    each = jax.jit(jax.vmap(jax.random.fold_in, in_axes=(None, 0)))
    return each(jax.random.PRNGKey(seed), jnp.arange(n))


def applied(transform, x, strengths, *rest, **numbers):
    """`transform` of x with these chosen numbers, each one or one for each example."""
    apply = jax.jit(lambda x, numbers: transform(x, Chosen(len(x), numbers), strengths, *rest))
    return np.asarray(apply(x, {name: np.asarray(each) for name, each in numbers.items()}))


def drawn(transform, x, strengths, *rest, probability=1.0, seed=0):
    """`transform` of x with random numbers."""
    apply = jax.jit(lambda x, keys: transform(x, Draws(keys, probability), strengths, *rest))
    return np.asarray(apply(x, keys_of(len(x), seed)))
