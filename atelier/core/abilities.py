"""Abilities: what can be done with a trained model, each a typed value that a family carries.

An ability is a NamedTuple of pure functions. A family lists those that it has; evaluation and
applications ask `family.ability(LogProb)`. These are the abilities that the engine itself uses. Any
other NamedTuple is an ability too, wherever it is declared: nothing here has to know of it.

All functions read `weights` (parameters and other collections, by player), a batch of `local`
examples, and an `Rng` with a key for each example. They are traced by JAX and map over devices.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from jaxtyping import Array

from atelier.core.randomness import Rng
from atelier.core.types import Batch, Weights

PerExample = Callable[[Weights, Batch, Rng], Array]  # -> [local, ...]


class Sample(NamedTuple):
    """Draws x ~ p(x), or p(x | label).

    draw: (weights, rng, condition) -> x [local, *event] in the data's units. The condition is None,
      or a batch with the 'label' [local] where the family is class-conditional.
    is_class_conditional: whether samples can be of a class that is asked for.
    """

    draw: Callable[[Weights, Rng, Batch | None], Array]
    is_class_conditional: bool = False


class Tokens(NamedTuple):
    """Codes as indices 0..size - 1 of a codebook.

    indices: (weights, batch, rng) -> int32 [local, positions].
    size: of the codebook.
    """

    indices: PerExample
    size: int


class Codes(NamedTuple):
    """A space of codes; what a family does not do with it is None.

    encode: (weights, batch, rng) -> codes [local, latent].
    decode: (weights, codes) -> the mean of x, [local, *event].
    prior: (weights, rng) -> codes [local, latent], as samples are decoded from.
    posterior: (weights, batch, rng) -> (mean, log_var), [local, latent] each, of the diagonal
      Gaussian q(z | x) of a model whose prior is N(0, I).
    dims: of the parts of a code, side by side: z_1, which `decode` reads, the stochastic layers
      above it, and behind them a class, one-hot, if the family is class-conditional; () where all
      of a code is z_1.
    tokens: the same codes as indices, where they come from a codebook.
    """

    encode: PerExample | None = None
    decode: Callable[[Weights, Array], Array] | None = None
    prior: Callable[[Weights, Rng], Array] | None = None
    posterior: Callable[[Weights, Batch, Rng], tuple[Array, Array]] | None = None
    dims: tuple[int, ...] = ()
    tokens: Tokens | None = None


class Reconstruct(NamedTuple):
    """What the model makes of x.

    mean: (weights, batch, rng) -> the mean of x [local, *event] given what is known of x.
    """

    mean: PerExample


class Inpaint(NamedTuple):
    """Fills in what is missing of x.

    fill: (weights, batch with 'known', rng) -> x [local, *event]. Where `known` [local, *event] is
      true x comes out as it went in; the rest is never read.
    """

    fill: PerExample


class Extend(NamedTuple):
    """Continues a text.

    complete: (weights, batch with 'num_known', rng) -> x [local, *event]: the first 'num_known'
      [local] tokens of a window as they are, the rest drawn given these.
    """

    complete: PerExample


class Denoise(NamedTuple):
    """Removes Gaussian noise of known strength.

    clean: (weights, batch with 'noise_std', rng) -> x [local, *event]. `noise_std` [local] is the
      standard deviation of the noise on the normalized scale.
    max_std: the largest that the model knows.
    """

    clean: PerExample
    max_std: float


class Trajectory(NamedTuple):
    """The steps of sampling.

    steps: (weights, rng, condition) -> what each step begins with and what the model makes of it,
      [local, steps, *event] each.
    evaluations: of the network, in one sample.
    """

    steps: Callable[[Weights, Rng, Batch | None], tuple[Array, Array]]
    evaluations: int


class SuperResolve(NamedTuple):
    """Adds resolution.

    enlarge: (weights, batch of 'low' alone, rng) -> x [local, *event].
    factor: by how much the sides of `low` are shorter.
    """

    enlarge: PerExample
    factor: int


class LogProb(NamedTuple):
    """The likelihood of x, and what kind of number that is.

    nats: (weights, batch, rng) -> [local], in nats of the data as given.
    kind: whether it is the likelihood itself, below it, or an estimate.
    budget: what it was computed with, such as 'k = 500' or '100 times'.
    coarser: the same in half as many steps, where there are any.
    """

    nats: PerExample
    kind: Literal['exact', 'lower bound', 'estimate']
    budget: str = ''
    coarser: PerExample | None = None

    @property
    def description(self) -> str:
        """Its kind, with the budget where it has one."""
        return ', '.join(filter(None, (self.kind, self.budget)))


class Conditionals(NamedTuple):
    """p(x) of discrete values by the chain rule: each value of x given those before it.

    order: (weights) -> int32 [dims], the index in the flat x of the i-th value.
    begin: (weights, given) -> the memory before the first value. Of the batch `given` only the
      shape of x is read, and the label where the family is class-conditional.
    step: (weights, memory, i, previous) -> (memory, log p [local, levels] of the i-th value, nats);
      `previous` [local] is the value before it, 0 where there is none.
    """

    order: Callable[[Weights], Array]
    begin: Callable[[Weights, Batch], Any]
    step: Callable[[Weights, Any, Array, Array], tuple[Any, Array]]


class BitsBack(NamedTuple):
    """p(x | z) of discrete values: what coding with bits back needs beside the family's `Codes`.

    Those have a posterior q(z | x), and the family's metrics have 'elbo_nats', a bound of log p(x)
    with it.

    level_log_probs: (weights, z [local, latent], given) -> nats [local, dims, levels] of every
      level of each value of the flat x, independent given z. Of the batch `given` the label alone
      is read, where the family is class-conditional.
    """

    level_log_probs: Callable[[Weights, Array, Batch], Array]


class FeatureMaps(NamedTuple):
    """A classifier in two parts: logits(weights, maps(weights, batch, rng)) are its logits.

    maps: (weights, batch, rng) -> what the last convolution makes of x, [local, *space, channels],
      after its activation.
    logits: (weights, maps) -> [local, classes].
    """

    maps: PerExample
    logits: Callable[[Weights, Array], Array]


class Classify(NamedTuple):
    """p(label | x).

    logits: (weights, batch, rng) -> [local, classes].
    feature_maps: the same in two parts, of a network with convolutions.
    """

    logits: PerExample
    feature_maps: FeatureMaps | None = None


def reconstruct_by_codes(encode: PerExample, decode: Callable) -> Reconstruct:
    """The reconstruction of a family that decodes what it encodes."""
    return Reconstruct(lambda weights, batch, rng: decode(weights, encode(weights, batch, rng)))
