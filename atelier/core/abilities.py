"""Abilities: what a trained model can do, each a typed value that a family carries.

An ability is a NamedTuple of pure functions. A family lists its abilities; evaluation and
applications ask `family.ability(LogProb)`. This module declares the abilities that the engine uses.
A family may list any other NamedTuple as an ability, wherever it is declared; it needs no entry
here.

Most functions take `weights` (the parameters and other collections of each player, see
`atelier.core.game`), a batch, and an `Rng` with one key per example. JAX traces them and maps them
over devices. A batch on one device has `local` examples: the rows of the whole batch that this
device computes.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from jaxtyping import Array

from atelier.core.randomness import Rng
from atelier.core.types import Batch, Weights

PerExample = Callable[[Weights, Batch, Rng], Array]  # -> [local, ...]


class Sample(NamedTuple):
    """Draws x ~ p(x), p(x | label) or p(x | condition).

    draw: (weights, rng, condition) -> x [local, *event] in the data's units. The condition is None,
      or a batch with 'label' [local] if the family is class-conditional.
    is_class_conditional: whether samples can be drawn from a given class.
    labels: (weights, rng) -> the class [local] of each x that `draw` returns without a condition;
      None if it is not known.
    mean: (weights, rng, condition) -> E[x | z] [local, *event], where z are the latent variables
      from which `draw` draws x with the same rng: row i belongs to sample i. Pictures show it,
      because the noise of p(x | z) hides what was learned. None if x is a function of z, or if the
      family has no latent variables.
    reads_condition: whether samples can be drawn given a condition of the data that is no class
      (`Spec.condition`): the condition is then a batch with 'condition' [local, columns].
    conditions: (weights, rng) -> this condition [local, columns] of each x that `draw` returns
      without a requested one; None if it is not known.
    """

    draw: Callable[[Weights, Rng, Batch | None], Array]
    is_class_conditional: bool = False
    labels: Callable[[Weights, Rng], Array] | None = None
    mean: Callable[[Weights, Rng, Batch | None], Array] | None = None
    reads_condition: bool = False
    conditions: Callable[[Weights, Rng], Array] | None = None


class LabelPrior(NamedTuple):
    """p(label), of a model of labels and x: samples of no requested class follow it.

    log_probs: (weights) -> [classes], in nats; -inf for classes without training examples.
    """

    log_probs: Callable[[Weights], Array]


class Components(NamedTuple):
    """p(x) as a sum over components k, each of its weight times its density: a mixture.

    log_joint: (weights, batch, rng) -> log p(k) + log p(x | k) [local, components], in nats, for x
      in the data's units. A label in the batch is not read.
    are_classes: whether component k is class k of the data.
    weights_and_means: (weights) -> (p(k) [components], means of p(x | k) [components, *event]).
    """

    log_joint: PerExample
    are_classes: bool = False
    weights_and_means: Callable[[Weights], tuple[Array, Array]] | None = None


class Tokens(NamedTuple):
    """Codes as indices 0..size - 1 of a codebook.

    indices: (weights, batch, rng) -> int32 [local, positions].
    size: number of codes in the codebook.
    map_shape: axes of the positions, such as (7, 7) of an image; () if they have one axis.
    vectors: (weights, indices [local, positions]) -> codes [local, latent], as `Codes.decode`
      reads them; None if the family cannot look them up.
    """

    indices: PerExample
    size: int
    map_shape: tuple[int, ...] = ()
    vectors: Callable[[Weights, Array], Array] | None = None


class Codes(NamedTuple):
    """A latent space; functions that a family lacks are None.

    encode: (weights, batch, rng) -> codes [local, latent].
    decode: (weights, codes) -> the mean of x, [local, *event].
    prior: (weights, rng) -> codes [local, latent], from the distribution that `Sample.draw` uses.
    posterior: (weights, batch, rng) -> (mean, log_var), [local, latent] each, of the diagonal
      Gaussian q(z | x) of a model whose prior is N(0, I).
    dims: sizes of the concatenated parts of a code. The parts are z_1, which `decode` reads, then
      the stochastic layers above z_1. A one-hot class, or the features of another condition, at the
      end of a code are not counted. () if the whole code is z_1.
    has_class: whether a code ends in a one-hot class, with a column for each class of the data.
    tokens: the same codes as indices, if they come from a codebook.
    kl: (weights, batch, rng) -> nats [local, latent] of each dimension of a code of several
      stochastic layers, which sum to the KL of the bound: the KL given the layer above, or its
      one-sample estimate, which may be negative.
    means_below: (weights, codes, layer) -> codes in which the layers below `layer` (1, 2, ...) are
      means of the generative model given the layers above them; for several stochastic layers.
    map_shape: shape of a code as a map (height, width, channels), or (length, channels) of a
      signal; its product is `latent`. () if the code is flat.
    """

    encode: PerExample | None = None
    decode: Callable[[Weights, Array], Array] | None = None
    prior: Callable[[Weights, Rng], Array] | None = None
    posterior: Callable[[Weights, Batch, Rng], tuple[Array, Array]] | None = None
    dims: tuple[int, ...] = ()
    tokens: Tokens | None = None
    kl: PerExample | None = None
    means_below: Callable[[Weights, Array, int], Array] | None = None
    map_shape: tuple[int, ...] = ()
    has_class: bool = False


class Reconstruct(NamedTuple):
    """Reconstructs x.

    mean: (weights, batch, rng) -> the mean of x [local, *event] given its codes.
    """

    mean: PerExample


class Inpaint(NamedTuple):
    """Fills in the missing part of x.

    fill: (weights, batch with 'known', rng) -> x [local, *event]. Where `known` [local, *event] is
      true, x is returned unchanged; the rest of x is never read.
    """

    fill: PerExample


class Extend(NamedTuple):
    """Continues a text.

    complete: (weights, batch with 'num_known', rng) -> x [local, *event]: keeps the first
      'num_known' [local] tokens of each window and draws the other tokens conditional on them.
    """

    complete: PerExample


class Denoise(NamedTuple):
    """Removes Gaussian noise of known strength.

    clean: (weights, batch with 'noise_std', rng) -> x [local, *event]. `noise_std` [local] is the
      standard deviation of the noise on the normalized scale.
    max_std: the largest `noise_std` that the model covers.
    """

    clean: PerExample
    max_std: float


class Trajectory(NamedTuple):
    """The intermediate steps of sampling.

    steps: (weights, rng, condition) -> (input of each step, the model's estimate of x from it),
      [local, steps, *event] each.
    evaluations: number of network evaluations per sample.
    """

    steps: Callable[[Weights, Rng, Batch | None], tuple[Array, Array]]
    evaluations: int


class SuperResolve(NamedTuple):
    """Raises the resolution of images.

    enlarge: (weights, batch, rng) -> x [local, *event]. The batch holds only 'low', the images of
      low resolution.
    factor: ratio of the height and width of x to those of 'low'.
    """

    enlarge: PerExample
    factor: int


class LogProb(NamedTuple):
    """The log-likelihood of x, and which kind of value it is.

    nats: (weights, batch, rng) -> [local], in nats, for x in the data's units.
    kind: whether the value is the log-likelihood itself, a lower bound, or an estimate.
    budget: how much computation the value takes, such as 'k = 500' (importance samples) or '100
      times' (diffusion times).
    coarser: `nats` with half as many integration steps; None if the value takes no such steps.
    quicker: the same with a smaller budget, for pictures that need many values; None: there is no
      such budget.
    by_value: (weights, batch, rng) -> [local, *event], the terms of `nats`: log p of each value of
      x given those before it, 0 for values that are not scored. None if it has no such terms.
    terms: names of the family's metrics whose sum is minus `nats` with the same rng, so that an
      evaluation computes them once; (): there are none.
    """

    nats: PerExample
    kind: Literal['exact', 'lower bound', 'estimate']
    budget: str = ''
    coarser: PerExample | None = None
    by_value: PerExample | None = None
    quicker: 'LogProb | None' = None
    terms: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """The kind, followed by the budget if there is one."""
        return ', '.join(filter(None, (self.kind, self.budget)))


class BoundTerms(NamedTuple):
    """The terms of the variational bound, which sum to an upper bound on -log p(x).

    nats: (weights, batch, rng) -> {name: [local]}, the terms in nats, such as 'reconstruction_nats'
      and 'kl_z1_nats'.
    by_time: (weights, batch, rng) -> (t [local, draws], nats [local, draws]) of one further term of
      a diffusion model: the term is the mean of the nats over the draws of the time t in [0, 1].
      None if the model has no such term.
    """

    nats: Callable[[Weights, Batch, Rng], dict[str, Array]]
    by_time: Callable[[Weights, Batch, Rng], tuple[Array, Array]] | None = None


class Conditionals(NamedTuple):
    """p(x) of discrete values by the chain rule: each value of x given those before it.

    Of a window of an endless text, the first values may be known: they are passed as `previous`.

    order: (weights) -> int32 [dims], the index in the flat x of the i-th value.
    begin: (weights, given) -> the memory before the first value. Of the batch `given`, it reads
      only the shape of x, and the label if the family is class-conditional.
    step: (weights, memory, i, previous) -> (memory, log p [local, levels] of the i-th value, nats);
      `previous` [local] is the value before it, or 0 for the first value.
    """

    order: Callable[[Weights], Array]
    begin: Callable[[Weights, Batch], Any]
    step: Callable[[Weights, Any, Array, Array], tuple[Any, Array]]


class BitsBack(NamedTuple):
    """p(x | z) of discrete values: what bits-back coding needs besides the family's `Codes`.

    The family's `Codes` must have a posterior q(z | x), and its metrics must include 'elbo_nats',
    the lower bound on log p(x) under that posterior.

    level_log_probs: (weights, z [local, latent], given) -> nats [local, dims, levels] of every
      level of each value of the flat x; the values are independent given z. Of the batch `given`,
      it reads only the label, if the family is class-conditional.
    """

    level_log_probs: Callable[[Weights, Array, Batch], Array]


class DependenceTree(NamedTuple):
    """p(x) = p(x_root) prod_i p(x_i | x_parent(i)), of the flat x.

    edges: (weights) -> (parent int32 [dims], nats [dims]): the parent of each dimension, and the
      mutual information of the two under the model. The root is its own parent, with 0 nats.
    """

    edges: Callable[[Weights], tuple[Array, Array]]


class FeatureMaps(NamedTuple):
    """A classifier in two parts: its logits are logits(weights, maps(weights, batch, rng)).

    maps: (weights, batch, rng) -> output of the last convolution, [local, *space, channels], after
      its activation.
    logits: (weights, maps) -> [local, classes].
    """

    maps: PerExample
    logits: Callable[[Weights, Array], Array]


class Classify(NamedTuple):
    """p(label | x).

    logits: (weights, batch, rng) -> [local, classes].
    feature_maps: the same network in two parts; None if it has no convolutions.
    """

    logits: PerExample
    feature_maps: FeatureMaps | None = None


def reconstruct_by_codes(encode: PerExample, decode: Callable) -> Reconstruct:
    """Returns the reconstruction that decodes the codes of x."""
    return Reconstruct(lambda weights, batch, rng: decode(weights, encode(weights, batch, rng)))
