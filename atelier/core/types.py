"""Types that the whole engine shares: pytrees, batches, weights, optimizers."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import optax
from jaxtyping import Array

Tree = Any  # a pytree of arrays; fields of pytrees are not checked, for JAX fills them with others
# 'x': the events, as the data set's Spec says; 'label' and 'factors' where there are any
Batch = dict[str, Array]


class Weights(NamedTuple):
    """All arrays of a model, by player.

    params: {player: parameters}, what gradients and averages are taken of.
    extra: {player: the Flax collections that are not `params`}, such as batch statistics.
    """

    params: dict[str, Tree]
    extra: dict[str, Tree]


@runtime_checkable  # tests check every annotation while they run
class Optimizer(Protocol):
    """Builds the update rule of one player inside the training step, from traced scalars."""

    def __call__(
        self, player: str, hypers: dict[str, Array], step: Array
    ) -> optax.GradientTransformation:
        """The rule of `player` at `step`."""
        ...
