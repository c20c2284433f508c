"""Corruptions: noise added to examples on purpose, for a model to remove.

Each takes one example x [*event] as networks see it (`Spec.normalize`), its key, the noise level,
and the smallest and largest value that x can take (scalars, or arrays that broadcast to x).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from atelier.data.dataset import Spec
from atelier.errors import UserError, at_least, share

Event = Float[Array, '*event']


def gaussian(x: Event, key, level, low, high) -> Event:
    """x + level * N(0, 1)."""
    del low, high
    return x + level * jax.random.normal(key, x.shape)


def masking(x: Event, key, level, low, high) -> Event:
    """Sets each value to 0 with probability `level` (Vincent et al. 2010, section 3.3)."""
    del low, high
    return jnp.where(jax.random.bernoulli(key, level, x.shape), 0.0, x)


def salt_and_pepper(x: Event, key, level, low, high) -> Event:
    """Sets each value, with probability `level`, to the smallest or the largest (equally likely).

    Vincent et al. (2010), section 3.3.
    """
    is_hit = jax.random.bernoulli(jax.random.fold_in(key, 0), level, x.shape)
    is_salt = jax.random.bernoulli(jax.random.fold_in(key, 1), 0.5, x.shape)
    return jnp.where(is_hit, jnp.where(is_salt, high, low), x)


def check_strengths(corrupt: Callable, spec: Spec, **strengths: float) -> None:
    """Refuses an invalid corruption; `strengths` is {GROUP: the value of config.GROUP.corruption}.

    Raises:
      UserError: a strength below 0, a probability above 1, or salt and pepper for real-valued data.
    """
    if corrupt is salt_and_pepper and spec.interval is None:
        raise UserError(
            "config.model.corruption='salt_and_pepper' needs data in a known interval and these "
            'are real-valued: choose gaussian or masking'
        )
    for group, strength in strengths.items():
        at_least(0, f'{group}.corruption', strength)
        if corrupt is not gaussian:
            share(f'{group}.corruption', strength)


NOISES = {'gaussian': gaussian, 'masking': masking, 'salt_and_pepper': salt_and_pepper}
