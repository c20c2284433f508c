"""The game: the training structure that all families of generative models share.

Named players own disjoint parameter trees. Each player descends its own scalar loss. In a turn, one
or several players move: they update their parameters. A VAE is a game of one player with one turn;
a GAN has two players and two turns; a VAE-GAN has three players in one turn. A mixture's only
player is fitted directly, without gradients.
`atelier/core/train_step.py` plays these games.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from flax import struct
from jaxtyping import Array

from atelier.core.randomness import Rng
from atelier.core.types import Batch, Tree, Weights, player_sizes

Hypers = dict[str, Array]  # float32 scalars, traced
Metrics = dict[str, Array]  # scalars, or arrays with one value per example
Losses = dict[str, Array]  # by player: the mean over this device's examples
Step = Array  # int32 scalar
When = Callable[[Hypers, Step], Array]  # whether the turn moves its players in this step
# returns (losses, (extra, metrics)); FitParams returns (losses, (fitted params, extra, metrics))
Loss = Callable[[Weights, Batch, Rng, Step, Hypers], tuple[Losses, tuple[dict, Metrics]]]
FitParams = Callable[[Weights, Batch, Rng, Step, Hypers], tuple[Losses, tuple[dict, dict, Metrics]]]
# metric means of the last 1,000 validations, oldest first -> {what is wrong: the warning}
Advise = Callable[[Sequence[dict[str, Any]]], dict[str, str]]


class Turn(NamedTuple):
    """One move: `players` descend the losses that `loss` returns for them.

    players: names of the players; each descends the gradient of its own loss.
    loss: (weights, batch, rng, step, hypers) -> ({player: scalar}, (extra, metrics)). The scalar is
      the mean over this device's examples. `extra` must be the same on every device: batch
      statistics go through `rng.gather`, because nothing averages them afterwards.
    batch_index: index of a minibatch among those of the step; turns with the same index share it.
    when: (hypers, step) -> whether the turn moves its players in this step; None: always. The
      turn's losses are reported in every step.
    together: number of consecutive examples of a batch that one device must hold.
    advise: recognises training that goes wrong and says what to change in the config; None: never.
    """

    players: tuple[str, ...]
    loss: Loss
    batch_index: int = 0
    when: When | None = None
    together: int = 1
    advise: Advise | None = None


class Fit(NamedTuple):
    """A move without gradients: `players` take the parameters that `fit` returns.

    players: names of the players whose parameters are replaced.
    fit: (weights, batch, rng, step, hypers) -> ({player: scalar}, (moved, extra, metrics)). `moved`
      is {player: new parameters}; like `extra` it must be the same on every device, so sums over a
      batch go through `rng.gather`. The losses are those of the old parameters.
    batch_index, when: as in `Turn`.

    Examples: a step of expectation maximisation, a closed-form solution.
    """

    players: tuple[str, ...]
    fit: FitParams
    batch_index: int = 0
    when: When | None = None


Turns = tuple[Turn | Fit, ...]


def num_minibatches(turns: Turns) -> int:
    """Returns the number of minibatches that one step reads."""
    return 1 + max(turn.batch_index for turn in turns)


def num_together(turns: Turns) -> int:
    """Returns how many consecutive examples of a batch one device must hold, for all turns."""
    return math.lcm(*(turn.together for turn in turns if isinstance(turn, Turn)))


def advisers(turns: Turns) -> list[Advise]:
    """Returns the distinct `advise` functions of the turns."""
    own = [turn.advise for turn in turns if isinstance(turn, Turn) and turn.advise is not None]
    return list(dict.fromkeys(own))


def advice(turns: Turns, history: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Returns the advice of all turns, {what is wrong: warning}; `history` is as in `Advise`."""
    return {k: text for advise in advisers(turns) for k, text in advise(history).items()}


class State(struct.PyTreeNode):
    """All arrays that a step reads and writes; `params`, `extra`, `opt` and `ema` by player."""

    step: Tree  # int32 scalar: the number of steps done
    key: Tree  # uint32 [2]: the seed
    params: dict[str, Tree]
    extra: dict[str, Tree]  # Flax collections other than params
    opt: dict[str, Tree]
    ema: dict[str, Tree]  # moving average of params
    hypers: dict[str, Tree]  # float32 scalars

    def __repr__(self) -> str:
        """Short, for notebooks and tracebacks: the step and the size of each player."""
        return f'State(step={self.step}, {player_sizes(self.params)})'

    @property
    def weights(self) -> Weights:
        """The weights that training updates."""
        return Weights(self.params, self.extra)

    @property
    def averaged_weights(self) -> Weights:
        """The weights that evaluation uses: the moving average, or `weights` at half-life 0."""
        return Weights(self.ema, self.extra)
