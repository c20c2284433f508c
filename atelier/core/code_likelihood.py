"""Abilities of models whose data or whose likelihood are codes.

`CodeLikelihood` belongs to a model that makes codes of x, a parent; `TwoPartCode` to a parent and a
model of its tokens together (`atelier.core.two_stage`).
"""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Array, UInt32

from atelier.core.abilities import Conditionals, PerExample
from atelier.core.types import Batch, Weights


class CodeLikelihood(NamedTuple):
    """p(x | z), of the codes z [local, latent] that the family's `Codes` encodes and decodes.

    nats: (weights, codes, batch) -> log p(x | z) [local], in nats, for x in the data's units.
    draw: (weights, codes, keys) -> x ~ p(x | z) [local, *event], with one key per example.
    level_log_probs: (weights, codes, given) -> nats [local, dims, levels] of every level of each
      value of the flat x; the values are independent given z. `given` is as in `BitsBack`. None if
      x is real-valued.
    """

    nats: Callable[[Weights, Array, Batch], Array]
    draw: Callable[[Weights, Array, UInt32[Array, 'local 2']], Array]
    level_log_probs: Callable[[Weights, Array, Batch], Array] | None = None


class TwoPartCode(NamedTuple):
    """x in two parts: its tokens, and then x given its tokens.

    The code lengths of both parts add up to the negative `LogProb` of the family: the tokens are a
    function of x, so that nothing is lost but what other tokens could contribute to p(x).

    tokens: (weights, batch, rng) -> int32 [local, positions], in the order of the flat map.
    size: number of codes in the codebook, the `levels` of `conditionals`.
    map_shape: event shape of the tokens as the data of `conditionals`.
    conditionals: p(tokens) by the chain rule; its functions take the weights of the whole family.
    level_log_probs: (weights, tokens, given) -> nats [local, dims, levels] of every level of each
      value of the flat x, which are independent given the tokens.
    """

    tokens: PerExample
    size: int
    map_shape: tuple[int, ...]
    conditionals: Conditionals
    level_log_probs: Callable[[Weights, Array, Batch], Array]
