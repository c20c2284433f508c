"""What all families of generative model have in common: a game.

Named players own disjoint parameter trees. Each descends its own scalar loss. They move in turns.
A VAE is a game of one player with one turn; a GAN has two players and two turns; a VAE-GAN three
players in one turn. A mixture's only player does not descend, it is fitted outright.
`atelier/core/train_step.py` plays them.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from flax import struct
from jaxtyping import Array

from atelier.core.randomness import Rng
from atelier.core.types import Batch, Tree, Weights

Hypers = dict[str, Array]  # float32 scalars, traced
Metrics = dict[str, Array]  # scalars, or arrays of one value an example
Losses = dict[str, Array]  # by player: the mean over this device's examples
Step = Array  # int32 scalar
When = Callable[[Hypers, Step], Array]  # whether the turn moves anyone in this step
# (losses, (extra, metrics)), and the same with the fitted parameters by player in front
Loss = Callable[[Weights, Batch, Rng, Step, Hypers], tuple[Losses, tuple[dict, Metrics]]]
FitParams = Callable[[Weights, Batch, Rng, Step, Hypers], tuple[Losses, tuple[dict, dict, Metrics]]]
# means of the validations so far, oldest first -> {name of the advice: the warning}
Advise = Callable[[Sequence[dict[str, Any]]], dict[str, str]]


class Turn(NamedTuple):
    """One move: `players` descend the losses that `loss` gives them.

    players: whose gradients are taken, each of its own loss.
    loss: (weights, batch, rng, step, hypers) -> ({player: scalar}, (extra, metrics)). The scalar is
      the mean over this device's examples. `extra` has to come out the same on every device:
      statistics of a batch go through `rng.gather`, for nothing averages them afterwards.
    batch_index: which of the step's minibatches it reads; turns of the same index share it.
    when: (hypers, step) -> whether the turn moves anyone in this step; None: in all. Its losses are
      reported all the same.
    together: how many neighbours in a batch one device has to hold.
    advise: what to change in the config where training goes wrong; None: nothing is known.
    """

    players: tuple[str, ...]
    loss: Loss
    batch_index: int = 0
    when: When | None = None
    together: int = 1
    advise: Advise | None = None


class Fit(NamedTuple):
    """A move without a gradient: `players` take the parameters that `fit` finds for them.

    players: whose parameters are replaced.
    fit: (weights, batch, rng, step, hypers) -> ({player: scalar}, (moved, extra, metrics)). `moved`
      is {player: its new parameters}; like `extra` it has to come out the same on every device, so
      that sums over a batch go through `rng.gather`. The losses are those of the parameters before.
    batch_index, when: as in `Turn`.

    A step of expectation maximisation is such a move, and what has a closed form.
    """

    players: tuple[str, ...]
    fit: FitParams
    batch_index: int = 0
    when: When | None = None


Turns = tuple[Turn | Fit, ...]


def num_minibatches(turns: Turns) -> int:
    """How many minibatches one step reads."""
    return 1 + max(turn.batch_index for turn in turns)


def neighbours_together(turns: Turns) -> int:
    """How many neighbours in a batch one device has to hold, for all turns."""
    return math.lcm(*(turn.together for turn in turns if isinstance(turn, Turn)))


def advisers(turns: Turns) -> list[Advise]:
    """The turns' functions that recognise training that goes wrong, each once."""
    own = [turn.advise for turn in turns if isinstance(turn, Turn) and turn.advise is not None]
    return list(dict.fromkeys(own))


def advice(turns: Turns, history: Sequence[dict[str, Any]]) -> dict[str, str]:
    """What all turns advise after these validations, oldest first: {what is wrong: the warning}."""
    return {k: text for advise in advisers(turns) for k, text in advise(history).items()}


class State(struct.PyTreeNode):
    """All that a step reads and writes: arrays only; `params`, `extra`, `opt`, `ema` by player."""

    step: Tree  # int32 scalar: the number of steps done
    key: Tree  # uint32 [2]: the seed
    params: dict[str, Tree]
    extra: dict[str, Tree]  # Flax collections that are not params
    opt: dict[str, Tree]
    ema: dict[str, Tree]  # moving average of params
    hypers: dict[str, Tree]  # float32 scalars

    @property
    def weights(self) -> Weights:
        """What training moves."""
        return Weights(self.params, self.extra)

    @property
    def averaged_weights(self) -> Weights:
        """What evaluation uses: the moving average, equal to `weights` at half-life 0."""
        return Weights(self.ema, self.extra)
