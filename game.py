"""What all families of generative model have in common: a game.

Named players own disjoint parameter trees. Each descends its own scalar loss. They move in turns.
A VAE is a game of one player with one turn; a GAN has two players and two turns; a VAE-GAN three
players in one turn. Everything here is a pure function of arrays: no files, no devices, no clock.
"""

import enum
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Bool, Float, Int, UInt32

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


def num_minibatches(turns: tuple[Turn, ...]) -> int:
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


class SuperResolve(NamedTuple):
    """x [local, *event] of `low`, whose sides are shorter: `enlarge(weights, {'low'}, draw)`."""

    enlarge: Callable
    factor: int


class Family(NamedTuple):
    """A family of generative model, as pure functions. Abilities that it lacks are None.

    Here `weights` stands for the two arguments params, extra (dicts by player). `posterior` is the
    diagonal Gaussian q(z | x) of a model whose prior is N(0, I). `latent_dims` says what stands
    side by side in a code: z_1, which `decode` reads, the layers above it, and behind them a class,
    one-hot, if the family has that condition; () where all of a code is z_1. `denoise` is told the
    deviation of Gaussian noise on the normalized scale. `trajectory` gives what each step on the
    way of `sample` begins with and makes of it, [local, steps, *event] each. `inpaint` leaves what
    is 'known' as it is, [local, *event], and never reads what stands in the place of the rest.
    """

    init: Callable  # (key, batch) -> weights
    turns: tuple[Turn, ...]
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
    denoise: Callable | None = None  # (weights, batch with 'noise_std', draw) -> x [local, *event]
    trajectory: Callable | None = None  # (weights, draw, condition) -> (x_t, x) of its steps
    super_resolve: SuperResolve | None = None  # from images of less resolution
    inpaint: Callable | None = None  # (weights, batch with 'known', draw) -> x [local, *event]
    log_prob: LogProb | None = None
    classify: Callable | None = None  # (weights, batch, draw) -> logits [local, classes]
    feature_maps: FeatureMaps | None = None  # of `classify`, where it has convolutions
    advise: Callable | None = None  # what to change where training goes wrong: `evaluation.watch`
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
    opt = {player: optimizer(player, hypers, step).init(tree) for player, tree in params.items()}
    ema = jax.tree.map(jnp.copy, params)  # a buffer of its own: the State is donated
    return State(step, key, params, extra, opt, ema, hypers)


def play(turn: Turn, params, extra, batch: Batch, draw: Draw, step, hypers):
    """Plays one turn without moving anyone.

    Returns ({player: gradient}, {player: loss}, extra, metrics). The gradient of a player is the
    derivative of its own loss in its own parameters: the losses share one forward pass, which is
    pulled back once per player.
    """

    def losses_of(moving):
        losses, aux = turn.loss({**params, **moving}, extra, batch, draw, step, hypers)
        if set(losses) != set(turn.players):
            raise ValueError(f'players {turn.players} got losses for {tuple(losses)}')
        return losses, aux

    moving = {player: params[player] for player in turn.players}
    losses, pull_back, (extra, metrics) = jax.vjp(losses_of, moving, has_aux=True)
    gradients = {}
    for player in turn.players:
        one_hot = {p: jnp.full_like(loss, float(p == player)) for p, loss in losses.items()}
        (cotangents,) = pull_back(one_hot)
        gradients[player] = cotangents[player]
    return gradients, losses, extra, metrics


def make_step(turns: tuple[Turn, ...], optimizer: Optimizer, batch_size: int, mean, gather):
    """Returns step(state, batches, rows) -> (state, report): every turn once, in order.

    `mean` averages a pytree over the devices and `gather` concatenates over them; both are the
    identity for a member of a sweep. A step with a non-finite loss or gradient leaves the State
    untouched, its `step` included, so the same step fails again until the host looks: the State
    freezes. `report` holds float32 scalars and the flag `finite`. New parameters are not looked at
    (`all_finite` does, once a dispatch): that would take as long as the update itself, which is
    bound by memory, and what is wrong with them shows in the next loss.
    """

    def step(state: State, batches: list[Batch], rows: Int[Array, 'local']):
        params, extra, opt = dict(state.params), state.extra, dict(state.opt)
        reports = []
        for number, turn in enumerate(turns):
            key = address(state.key, Purpose.TRAIN, state.step, number)
            draw = draw_for(key, rows, batch_size, gather)
            batch = batches[turn.batch]
            before = dict(params), dict(opt), extra
            moves, losses, extra, metrics = play(
                turn, params, extra, batch, draw, state.step, state.hypers
            )
            metrics = jax.tree.map(jnp.mean, metrics)
            moves, losses, metrics = mean((moves, losses, metrics))
            for player in turn.players:
                rule = optimizer(player, state.hypers, state.step)
                update, opt[player] = rule.update(moves[player], opt[player], params[player])
                params[player] = optax.apply_updates(params[player], update)
            if turn.when is not None:
                moved = turn.when(state.hypers, state.step)
                params, opt, extra = _select(moved, (params, opt, extra), before)
            norms = {player: optax.tree.norm(moves[player]) for player in turn.players}
            reports.append(
                {**_by_player('loss', losses), **_by_player('gradient_norm', norms), **metrics}
            )
        report = _average(reports)
        checked = [v for name, v in report.items() if name.startswith(('loss', 'gradient_norm'))]
        finite = all_finite((checked, extra))
        new = state.replace(step=state.step + 1, params=params, extra=extra, opt=opt)
        after = _select(finite, new, state)
        # of what is kept, not of `params`: else XLA holds on to a copy of the old ones
        ema = moving_average(state.ema, after.params, state.hypers['ema_half_life'], batch_size)
        return after.replace(ema=_select(finite, ema, state.ema)), {**report, 'finite': finite}

    return step


def _select(condition: Bool[Array, ''], new: Tree, old: Tree) -> Tree:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)


def moving_average(ema: Tree, params: Tree, half_life_examples, batch_size: int) -> Tree:
    """ema <- d ema + (1 - d) params with d = 2^(-batch_size / half_life); half-life 0: params."""
    half_life = jnp.asarray(half_life_examples, jnp.float32)
    half_lives = batch_size / jnp.maximum(half_life, 1e-6)
    new_weight = jnp.where(half_life > 0, -jnp.expm1(-jnp.log(2.0) * half_lives), 1.0)
    return optax.incremental_update(params, ema, new_weight)


def _by_player(name: str, values: dict[str, Array]) -> dict[str, Array]:
    """'loss' for the only player of a game called 'model', else 'loss_generator' and so on."""
    return {name if player == 'model' else f'{name}_{player}': v for player, v in values.items()}


def _average(reports: list[dict[str, Array]]) -> dict[str, Float[Array, '']]:
    """The mean of each name over the turns that report it (a critic moves several times)."""
    names = dict.fromkeys(name for report in reports for name in report)
    seen = {name: [report[name] for report in reports if name in report] for name in names}
    return {name: jnp.mean(jnp.stack(v).astype(jnp.float32)) for name, v in seen.items()}


def all_finite(tree: Tree) -> Bool[Array, '']:
    """Whether every number in `tree` is finite."""
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]))
