"""A parent and a child, which models the parent's codes: their functions and their weights.

The weights of both are one `Weights`: the child's players have their own names, those of the parent
have names that begin with `PARENT`.
"""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Array

from atelier.core.code_space import CodeSpace
from atelier.core.family import Family
from atelier.core.game import State
from atelier.core.randomness import Rng
from atelier.core.types import Batch, Weights

PARENT = 'parent.'  # before the names of the parent's players


class Stages(NamedTuple):
    """Two families, and how the codes of one are the data of the other.

    child: models the codes.
    parent: encodes and decodes x.
    space: of the parent's codes.
    middle: x [local, *event] -> x of the same shape in the middle of the data's range, which stands
      in for hidden values before they are encoded.
    """

    child: Family
    parent: Family
    space: CodeSpace
    middle: Callable[[Array], Array]

    def z(self, weights: Weights, batch: Batch, rng: Rng) -> tuple[Batch, Array]:
        """Returns the child's batch of codes, and log q of each of its examples [local]."""
        x, nats = self.space.draw(of_parent(weights), batch, rng)
        return {**batch, 'x': self.space.as_event(x)}, nats

    def z_mean(self, weights: Weights, batch: Batch, rng: Rng) -> Batch:
        """Returns the child's batch of codes, without the noise of the parent's encoder."""
        x, _ = self.space.encode(of_parent(weights), batch, rng)
        return {**batch, 'x': self.space.as_event(x)}

    def codes(self, weights: Weights, z: Array) -> Array:
        """Returns the parent's codes [local, latent] of the child's x."""
        return self.space.as_codes(of_parent(weights), z)

    def decode(self, weights: Weights, z: Array) -> Array:
        """Returns the mean of x [local, *event] of the child's x."""
        return self.space.codes.decode(of_parent(weights), self.codes(weights, z))


def merged(child: Weights, parent: Weights) -> Weights:
    """Returns the weights of the composed family."""
    return Weights(
        params={**child.params, **_prefixed(parent.params)},
        extra={**child.extra, **_prefixed(parent.extra)},
    )


def merged_state(child: State, parent: State) -> State:
    """Returns the child's State with the weights of both."""
    params, extra = merged(child.weights, parent.weights)
    return child.replace(params=params, extra=extra, ema={**child.ema, **_prefixed(parent.ema)})


def parents_state(both: State) -> State:
    """Returns a State with the parent's weights alone, of one that `merged_state` returned."""
    parts = {name: _unprefixed(getattr(both, name)) for name in ('params', 'extra', 'ema')}
    return both.replace(**parts, opt={})


def _prefixed(trees: dict) -> dict:
    return {f'{PARENT}{player}': tree for player, tree in trees.items()}


def of_child(weights: Weights) -> Weights:
    """Returns the child's weights of composed ones."""
    return Weights(*({k: v for k, v in part.items() if not _is_parents(k)} for part in weights))


def of_parent(weights: Weights) -> Weights:
    """Returns the parent's weights of composed ones."""
    return Weights(*map(_unprefixed, weights))


def _unprefixed(trees: dict) -> dict:
    return {k.removeprefix(PARENT): tree for k, tree in trees.items() if _is_parents(k)}


def _is_parents(player: str) -> bool:
    return player.startswith(PARENT)
