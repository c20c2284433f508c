"""What all families of generative model have in common: a game.

Named players own disjoint parameter trees. Each descends its own scalar loss. They move in turns.
A VAE is a game of one player with one turn; a GAN has two players and two turns; a VAE-GAN three
players in one turn. A mixture's only player does not descend, it is fitted outright.
`atelier/core/train_step.py` plays them.
"""

from collections.abc import Callable
from typing import NamedTuple

from flax import struct

from atelier.core.types import Tree


class Turn(NamedTuple):
    """One move: `players` descend the losses that `loss` gives them on minibatch `batch`.

    loss(params, extra, batch, draw, step, hypers) -> ({player: scalar}, (extra, metrics)), where
    metrics are scalars or per-example arrays, and a scalar is the mean over this device's rows.
    `batch` counts the minibatches of one step: turns of the same number see the same data.
    `extra` has to come out the same on every device: statistics of a batch go through
    `draw.gather`, for nothing averages them afterwards.
    when(hypers, step) -> whether the turn moves anyone in this step, in all without it; its losses
    are reported all the same.
    """

    players: tuple[str, ...]
    loss: Callable
    batch: int = 0
    when: Callable | None = None


class Fit(NamedTuple):
    """A move without a gradient: `players` take the parameters that `fit` finds for them.

    fit(params, extra, batch, draw, step, hypers) -> ({player: scalar}, (moved, extra, metrics)),
    where `moved` is {player: its new parameters} and the rest is as in `Turn`. `moved`, as `extra`,
    has to come out the same on every device: sums over a batch go through `draw.gather`. The losses
    are those of the parameters before. A step of expectation maximisation is such a move, and what
    has a closed form.
    """

    players: tuple[str, ...]
    fit: Callable
    batch: int = 0
    when: Callable | None = None


Turns = tuple[Turn | Fit, ...]


def num_minibatches(turns: Turns) -> int:
    """How many minibatches one step reads."""
    return 1 + max(turn.batch for turn in turns)


class State(struct.PyTreeNode):
    """All that a step reads and writes: arrays only; `params`, `extra`, `opt`, `ema` by player."""

    step: Tree  # int32 scalar: the number of steps done
    key: Tree  # uint32 [2]: the seed
    params: dict[str, Tree]
    extra: dict[str, Tree]  # Flax collections that are not params
    opt: dict[str, Tree]
    ema: dict[str, Tree]  # moving average of params
    hypers: dict[str, Tree]  # float32 scalars
