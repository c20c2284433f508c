"""Bounds of the items in packed rows (`atelier.data.items`), as networks need them.

The first token of a row, and each that follows an end token, begins an item or is padding. So the
bounds at a token follow from the tokens before it, as a causal network needs.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Num

from atelier.data.items import END_TOKEN


class Bounds(NamedTuple):
    """Bounds of the items in rows of tokens.

    begins: whether each token begins an item or is padding.
    positions: the position of each token in its item, from 0; 0 for padding.
    segments: the number of each token's item in its row, from 1; each token of padding has its own.
    """

    begins: Bool[Array, 'rows length']
    positions: Int[Array, 'rows length']
    segments: Int[Array, 'rows length']


def bounds(x: Num[Array, 'rows length']) -> Bounds:
    """Returns the bounds of the items in rows of tokens x."""
    begins = jnp.pad(x[:, :-1] == END_TOKEN, ((0, 0), (1, 0)), constant_values=True)
    columns = jnp.arange(x.shape[1], dtype=jnp.int32)
    first = jax.lax.cummax(jnp.where(begins, columns, 0), axis=1)
    return Bounds(begins, columns - first, jnp.cumsum(begins, 1, dtype=jnp.int32))
