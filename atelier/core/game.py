"""What all families of generative model have in common: a game.

Named players own disjoint parameter trees. Each descends its own scalar loss. They move in turns.
A VAE is a game of one player with one turn; a GAN has two players and two turns; a VAE-GAN three
players in one turn. A mixture's only player does not descend, it is fitted outright.
`atelier/core/train_step.py` plays them. All here are pure functions of arrays: no files, no
devices, no clock.
"""

import enum
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Float, UInt32

Tree = Any  # a pytree of arrays; fields of pytrees are not checked, for JAX fills them with others
# 'x': the events, as the data set's Spec says; 'label' and 'factors' where there are any
Batch = dict[str, Array]
Optimizer = Callable[[str, dict, Array], optax.GradientTransformation]  # (player, hypers, step)


class Purpose(enum.IntEnum):
    """The second word of every random address: seed, purpose, step, example."""

    INIT = 0
    SHUFFLE = 1
    PREPROCESS = 2
    TRAIN = 3
    EVALUATE = 4
    SAMPLE = 5


class Draw(struct.PyTreeNode):
    """The randomness of one batch, and what a term that couples examples needs to know.

    `keys` and `rows` are this device's share; `shared_key` and `batch_size` are the same on every
    device; `gather` concatenates a [local, ...] array over the devices to [batch_size, ...].
    A pytree of its three arrays, so that a jitted loss takes it as an argument.
    """

    keys: Tree  # uint32 [local, 2]
    shared_key: Tree  # uint32 [2]
    rows: Tree  # int32 [local]
    batch_size: int = struct.field(pytree_node=False)
    gather: Callable[[Tree], Tree] = struct.field(pytree_node=False)


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


def identity(tree: Tree) -> Tree:
    """The mean, and the gathering, over a single device."""
    return tree


def address(key: UInt32[Array, '2'], purpose: Purpose, *path) -> UInt32[Array, '2']:
    """The key that belongs to (seed, purpose, path...): nothing is ever split from a stream."""
    for part in (purpose, *path):
        key = jax.random.fold_in(key, part)
    return key


def part_of(keys: UInt32[Array, 'local 2'], number) -> UInt32[Array, 'local 2']:
    """A key for each row again, for the draws of one kind: kinds have different numbers."""
    return jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, number)


def standard_normal(keys: UInt32[Array, 'local 2'], *shape: int) -> Float[Array, 'local *shape']:
    """N(0, 1) of this shape for each row, from its own key."""
    return jax.vmap(lambda key: jax.random.normal(key, shape))(keys)


def through_codes(encode: Callable, decode: Callable) -> Callable:
    """The ability `reconstruct` of a family that decodes what it encodes."""

    def reconstruct(params, extra, batch, draw):
        return decode(params, extra, encode(params, extra, batch, draw))

    return reconstruct


def draw_for(key, rows, batch_size, gather=identity) -> Draw:
    """A key for each row: which device holds the row makes no difference."""
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, rows)
    shared_key = jax.random.fold_in(key, 0xFFFFFFFF)  # no row has this number
    return Draw(keys, shared_key, rows, batch_size, gather)


def init_state(family: Family, optimizer: Optimizer, key, batch: Batch, hypers: dict) -> State:
    """The State before the first step; `batch` gives shapes, and data to a data-dependent start."""
    params, extra = family.init(address(key, Purpose.INIT), batch)
    step = jnp.zeros((), jnp.int32)
    fitted = {player for turn in family.turns if isinstance(turn, Fit) for player in turn.players}
    opt = {
        player: optimizer(player, hypers, step).init(tree)
        for player, tree in params.items()
        if player not in fitted
    }
    ema = jax.tree.map(jnp.copy, params)  # a buffer of its own: the State is donated
    return State(step, key, params, extra, opt, ema, hypers)
