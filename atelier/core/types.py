"""Types that the whole engine shares: pytrees, batches, weights, optimizers."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import optax
from jaxtyping import Array

from atelier.log import counted

Tree = Any  # a pytree of arrays; unchecked, because JAX also puts other objects into pytrees
# 'x': events, as the data set's Spec describes them; 'label', 'condition' and 'factors' if the data
# have them
Batch = dict[str, Array]


class Weights(NamedTuple):
    """All arrays of a model, by player.

    params: {player: parameters}, which have gradients and moving averages.
    extra: {player: Flax collections other than `params`}, such as batch statistics.
    """

    params: dict[str, Tree]
    extra: dict[str, Tree]

    def __repr__(self) -> str:
        """Short, for notebooks: the size of each player."""
        return f'Weights({player_sizes(self.params)})'


def num_parameters(params: Tree) -> int:
    """Returns the number of values in a pytree of arrays."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def player_sizes(params: dict[str, Tree]) -> str:
    """Returns the number of parameters of each player, as 'encoder: 20 parameters, ...'."""
    sizes = {player: num_parameters(tree) for player, tree in params.items()}
    return ', '.join(f'{player}: {counted(n, "parameter")}' for player, n in sizes.items())


class HoldingRule(optax.GradientTransformationExtraArgs):
    """An update rule that keeps its state in a step that is not finite.

    `update(gradients, state, params, finite=finite)` returns the old state if `finite` is False,
    whatever the update is then. A rule that reads its new state for the update reads the one that
    it returns: on a CPU, XLA then stores that state and reads it again. Otherwise it computes the
    state twice.
    """


@runtime_checkable  # tests check every annotation while they run
class Optimizer(Protocol):
    """Builds one player's update rule inside the training step, from traced scalars."""

    def __call__(
        self, player: str, hypers: dict[str, Array], step: Array
    ) -> optax.GradientTransformation:
        """Returns the update rule of `player` at `step`."""
        ...
