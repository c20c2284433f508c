"""Random keys: each key is a function of (seed, stream, step, global example index).

Keys are derived by `fold_in` and never split from a stored key, so results depend neither on the
number of devices nor on earlier draws.
"""

import enum
from collections.abc import Callable

import jax
from flax import struct
from jaxtyping import Array, Float, UInt32

from atelier.core.types import Tree


class Stream(enum.IntEnum):
    """The purpose of a key: the second component of (seed, stream, step, example)."""

    INIT = 0
    SHUFFLE = 1
    PREPROCESS = 2
    TRAIN = 3
    EVALUATE = 4
    SAMPLE = 5
    AUGMENT = 6


class Rng(struct.PyTreeNode):
    """The random keys of one batch, and the fields for loss terms that couple examples.

    `keys` and `rows` (positions in the whole batch) belong to the examples on this device;
    `shared_key` and `batch_size` are the same on every device; `gather` concatenates a [local, ...]
    array over devices to [batch_size, ...]. An Rng is a pytree of its three arrays, so that jitted
    losses accept it.
    """

    keys: Tree  # uint32 [local, 2]
    shared_key: Tree  # uint32 [2]
    rows: Tree  # int32 [local]
    batch_size: int = struct.field(pytree_node=False)
    gather: Callable[[Tree], Tree] = struct.field(pytree_node=False)


def identity(tree: Tree) -> Tree:
    """Returns `tree`: the mean and the concatenation over a single device change nothing."""
    return tree


def key_for(key: UInt32[Array, '2'], stream: Stream, *path) -> UInt32[Array, '2']:
    """Returns the key of (seed, stream, path...), folded from `key`, the key of the seed."""
    for part in (stream, *path):
        key = jax.random.fold_in(key, part)
    return key


def fold_in(keys: UInt32[Array, 'local 2'], data) -> UInt32[Array, 'local 2']:
    """Folds the integer `data` into each row's key; each kind of draw has its own integer."""
    return jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, data)


def standard_normal(keys: UInt32[Array, 'local 2'], *shape: int) -> Float[Array, 'local *shape']:
    """Draws N(0, 1) of this shape for each row, from the row's own key."""
    return jax.vmap(lambda key: jax.random.normal(key, shape))(keys)


def rng_for(key, rows, batch_size, gather=identity) -> Rng:
    """Returns an Rng with one key per row, which does not depend on the device of the row."""
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, rows)
    shared_key = jax.random.fold_in(key, 0xFFFFFFFF)  # no row has this index
    return Rng(keys, shared_key, rows, batch_size, gather)
