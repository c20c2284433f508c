"""A family of generative model: how its game begins and moves, and what can be done with it."""

from collections.abc import Callable
from typing import Literal, NamedTuple

from atelier.core.game import Turns


class LogProb(NamedTuple):
    """`nats(params, extra, batch, draw)` per example, and what kind of number that is."""

    nats: Callable
    kind: Literal['exact', 'lower bound', 'estimate']
    budget: str = ''  # that it was computed with, as 'k = 500' or '100 times'
    coarser: Callable | None = None  # nats in half as many steps, where there are any

    @property
    def words(self) -> str:
        """Its kind, with the budget where it has one."""
        return ', '.join(filter(None, (self.kind, self.budget)))


class FeatureMaps(NamedTuple):
    """`classify` in two parts: logits(weights, maps(weights, batch, draw)) are its logits.

    Maps are what the last convolution of a network makes of x, [local, *space, channels], after its
    activation.
    """

    maps: Callable
    logits: Callable


class Tokens(NamedTuple):
    """Codes as 0..size - 1 of a codebook: `numbers(weights, batch, draw)`, [local, positions]."""

    numbers: Callable
    size: int


class Denoise(NamedTuple):
    """x [local, *event] without Gaussian noise: `clean(weights, batch with 'noise_std', draw)`.

    That is its deviation [local] on the normalized scale, at most `most_std`.
    """

    clean: Callable
    most_std: float


class Trajectory(NamedTuple):
    """The steps of `sample`: `steps(weights, draw, condition)`, and their evaluations of a network.

    What each step begins with and what it makes of it, [local, steps, *event] each.
    """

    steps: Callable
    evaluations: int


class SuperResolve(NamedTuple):
    """x [local, *event] of `low`, whose sides are shorter: `enlarge(weights, {'low'}, draw)`."""

    enlarge: Callable
    factor: int


class Conditionals(NamedTuple):
    """p(x) of levels as the chain rule has it: a distribution of each number given those before it.

    order: (weights) -> [dims] int32, which number of the flat x comes i-th.
    begin: (weights, given) -> memory of nothing; `given` is a batch of which x is not read, but for
      its shape, and the label is, where that is a condition.
    step: (weights, memory, i, before) -> (memory, log p [local, levels]) of the i-th number, nats;
      `before` [local] is the one that came before it, 0 where none did.
    """

    order: Callable
    begin: Callable
    step: Callable


class Family(NamedTuple):
    """A family of generative model, as pure functions. Abilities that it lacks are None.

    Here `weights` stands for the two arguments params, extra (dicts by player). `posterior` is the
    diagonal Gaussian q(z | x) of a model whose prior is N(0, I). `latent_dims` says what stands
    side by side in a code: z_1, which `decode` reads, the layers above it, and behind them a class,
    one-hot, if the family has that condition; () where all of a code is z_1. `inpaint` leaves what
    is 'known' as it is, [local, *event], and never reads what stands in the place of the rest; so
    does `extend`, of text, with the first 'num_known' [local] symbols of a window, and draws the
    rest given these. level_log_probs(weights, z [local, latent], given) are the nats of every level
    of each number of the flat x, [local, dims, levels], which are independent given z; of the batch
    `given` the label alone is read, where that is a condition. Such a family's metrics have
    'elbo_nats', a bound of log p(x) with this `posterior`.
    """

    init: Callable  # (key, batch) -> weights
    turns: Turns
    metrics: Callable  # (weights, batch, draw) -> {name: [local]}, per example
    sample: Callable | None = None  # (weights, draw, condition: Batch | None) -> x [local, *event]
    conditions: tuple[str, ...] = ()  # what `sample` takes of a condition, such as 'label'
    prior: Callable | None = None  # (weights, draw) -> codes [local, latent], as sample draws them
    encode: Callable | None = None  # (weights, batch, draw) -> codes [local, latent]
    posterior: Callable | None = None  # (weights, batch, draw) -> (mean, log_var), [local, latent]
    decode: Callable | None = None  # (weights, codes) -> the mean of x, [local, *event]
    latent_dims: tuple[int, ...] = ()  # of the stochastic layers in a code, z_1 first
    tokens: Tokens | None = None  # of a model whose codes come from a codebook
    reconstruct: Callable | None = None  # (weights, batch, draw) -> the mean of x, [local, *event]
    denoise: Denoise | None = None  # of known noise
    trajectory: Trajectory | None = None  # of `sample`, where that takes steps
    super_resolve: SuperResolve | None = None  # from images of less resolution
    inpaint: Callable | None = None  # (weights, batch with 'known', draw) -> x [local, *event]
    extend: Callable | None = None  # (weights, batch with 'num_known', draw) -> x [local, *event]
    log_prob: LogProb | None = None
    conditionals: Conditionals | None = None  # the same number by number, of levels
    level_log_probs: Callable | None = None  # log p(x_i | z) of levels, beside `posterior`
    classify: Callable | None = None  # (weights, batch, draw) -> logits [local, classes]
    feature_maps: FeatureMaps | None = None  # of `classify`, where it has convolutions
    advise: Callable | None = (
        None  # what to change where training goes wrong: `atelier.training.validation`
    )
    together: int = 1  # neighbours in a batch that one device has to hold


def through_codes(encode: Callable, decode: Callable) -> Callable:
    """The ability `reconstruct` of a family that decodes what it encodes."""

    def reconstruct(params, extra, batch, draw):
        return decode(params, extra, encode(params, extra, batch, draw))

    return reconstruct
