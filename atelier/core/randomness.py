"""Randomness as an address: each key belongs to (seed, stream, step, global example index).

Keys are derived by `fold_in` and never split off a stored stream, so that results depend neither on
the number of devices nor on what was drawn before.
"""

import enum
from collections.abc import Callable

import jax
from flax import struct
from jaxtyping import Array, Float, UInt32

from atelier.core.types import Tree


class Stream(enum.IntEnum):
    """The second word of every random address: seed, stream, step, example."""

    INIT = 0
    SHUFFLE = 1
    PREPROCESS = 2
    TRAIN = 3
    EVALUATE = 4
    SAMPLE = 5


class Rng(struct.PyTreeNode):
    """The randomness of one batch, and what a term that couples examples needs to know.

    `keys` and `rows` are this device's share; `shared_key` and `batch_size` are the same on every
    device; `gather` concatenates a [local, ...] array over the devices to [batch_size, ...].
    A pytree of its three arrays, so that a jitted loss takes it as an argument.
    """

    keys: Tree  # uint32 [local, 2]
    shared_key: Tree  # uint32 [2]
    rows: Tree  # int32 [local]
    batch_size: int = struct.field(pytree_node=False)
    gather: Callable[[Tree], Tree] = struct.field(pytree_node=False)


def identity(tree: Tree) -> Tree:
    """The mean, and the gathering, over a single device."""
    return tree


def key_for(key: UInt32[Array, '2'], stream: Stream, *path) -> UInt32[Array, '2']:
    """The key that belongs to (seed, stream, path...): nothing is ever split from a stream."""
    for part in (stream, *path):
        key = jax.random.fold_in(key, part)
    return key


def fold_in(keys: UInt32[Array, 'local 2'], number) -> UInt32[Array, 'local 2']:
    """A key for each row again, for the draws of one kind: kinds have different numbers."""
    return jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, number)


def standard_normal(keys: UInt32[Array, 'local 2'], *shape: int) -> Float[Array, 'local *shape']:
    """N(0, 1) of this shape for each row, from its own key."""
    return jax.vmap(lambda key: jax.random.normal(key, shape))(keys)


def rng_for(key, rows, batch_size, gather=identity) -> Rng:
    """A key for each row: which device holds the row makes no difference."""
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, rows)
    shared_key = jax.random.fold_in(key, 0xFFFFFFFF)  # no row has this number
    return Rng(keys, shared_key, rows, batch_size, gather)
