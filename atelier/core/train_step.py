"""The training step: gradients by player, and all turns of a game in order; pure functions."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from atelier.core.family import Family
from atelier.core.game import Fit, Hypers, Losses, Metrics, State, Turn, Turns
from atelier.core.randomness import Rng, Stream, key_for, rng_for
from atelier.core.types import Batch, HoldingRule, Optimizer, Tree, Weights

OverDevices = Callable[[Tree], Tree]  # mean or gather over devices; identity on one device


def init_state(family: Family, optimizer: Optimizer, key, batch: Batch, hypers: Hypers) -> State:
    """Returns the initial State; `batch` gives shapes, and data for data-dependent initializers."""
    weights = family.init(key_for(key, Stream.INIT), batch)
    step = jnp.zeros((), jnp.int32)
    fitted = {player for turn in family.turns if isinstance(turn, Fit) for player in turn.players}
    opt = {
        player: optimizer(player, hypers, step).init(tree)
        for player, tree in weights.params.items()
        if player not in fitted
    }
    ema = jax.tree.map(jnp.copy, weights.params)  # its own buffers, because the State is donated
    return State(step, key, weights.params, weights.extra, opt, ema, hypers)


class Gradients(NamedTuple):
    """Gradients and losses of one turn, before any player moves.

    gradients: {player: gradient of its own loss with respect to its own parameters}.
    losses: {player: scalar}.
    extra: the other collections after the forward pass.
    metrics: the metrics of the turn on this device's examples.
    """

    gradients: dict[str, Tree]
    losses: Losses
    extra: dict[str, Tree]
    metrics: Metrics


def gradients_of_turn(
    turn: Turn, weights: Weights, batch: Batch, rng: Rng, step, hypers: Hypers
) -> Gradients:
    """Computes the gradients of one turn without moving any player.

    A player's gradient is the derivative of its own loss with respect to its own parameters: the
    losses share one forward pass, which is pulled back once per player.

    Raises:
      ValueError: the players with a loss are not those of the turn.
    """

    def losses_of(moving):
        moved = Weights({**weights.params, **moving}, weights.extra)
        losses, aux = turn.loss(moved, batch, rng, step, hypers)
        if set(losses) != set(turn.players):
            raise ValueError(f'players {turn.players} got losses for {tuple(losses)}')
        return losses, aux

    moving = {player: weights.params[player] for player in turn.players}
    losses, pull_back, (extra, metrics) = jax.vjp(losses_of, moving, has_aux=True)
    gradients = {}
    for player in turn.players:
        one_hot = {p: jnp.full_like(loss, float(p == player)) for p, loss in losses.items()}
        (cotangents,) = pull_back(one_hot)
        gradients[player] = cotangents[player]
    return Gradients(gradients, losses, extra, metrics)


class Move(NamedTuple):
    """The result of one turn.

    weights, opt: after the turn.
    losses: {player: scalar}, means over all devices.
    gradient_norms: {player: norm of the gradient's mean over all devices}; empty for a `Fit`.
    metrics: {name: scalar}, means over all devices.
    finite: whether this turn and those before it were finite, if the turn has kept its players and
      their optimizers' states where it is False; None if it has moved them in any case.
    """

    weights: Weights
    opt: dict[str, Tree]
    losses: Losses
    gradient_norms: Losses
    metrics: Metrics
    finite: Bool[Array, ''] | None = None


def make_step(
    turns: Turns, optimizer: Optimizer, batch_size: int, mean: OverDevices, gather: OverDevices
) -> Callable[[State, list[Batch], Array], tuple[State, Metrics]]:
    """Returns step(state, batches, rows) -> (state, report), which plays every turn once, in order.

    `rows` are this device's positions in the batch. `mean` averages a pytree over devices; `gather`
    concatenates its arrays. Both are the identity for a member of a sweep.

    If a loss, gradient, fitted parameter or `extra` is non-finite, the call returns the State
    unchanged and sets `finite` to False, which the host reads after each dispatch (a scan over many
    steps). `state.step` is unchanged too, so further calls fail in the same way. `report` holds
    float32 scalars and the flag `finite`. Parameters updated by gradients are checked once per
    dispatch (with `all_finite`), not in every step. A check per step would take as long as the
    memory-bound update itself, and is not needed, because a non-finite parameter makes the next
    loss non-finite.
    """

    held = _held_players(turns)

    def step(state: State, batches: list[Batch], rows: Int[Array, 'local']):
        weights, opt = Weights(dict(state.params), state.extra), dict(state.opt)
        moves, checked = [], []
        for index, turn in enumerate(turns):
            key = key_for(state.key, Stream.TRAIN, state.step, index)
            rng = rng_for(key, rows, batch_size, gather)
            batch = batches[turn.batch_index]
            if isinstance(turn, Fit):
                move = _fit(turn, weights, opt, batch, rng, state, mean)
            else:
                keep = checked if held and index == len(turns) - 1 else None
                move = _descend(turn, weights, opt, batch, rng, state, optimizer, mean, keep)
            if turn.when is None:
                weights, opt = move.weights, move.opt
            else:
                moves_now = turn.when(state.hypers, state.step)
                weights, opt = _select(moves_now, (move.weights, move.opt), (weights, opt))
            moves.append(move)
            fitted = [weights.params[p] for p in turn.players] if isinstance(turn, Fit) else []
            checked.append((move.losses, move.gradient_norms, fitted))
        finite = moves[-1].finite
        is_held = finite is not None
        if not is_held:
            finite = all_finite((checked, weights.extra))
        new = state.replace(
            step=state.step + 1, params=weights.params, extra=weights.extra, opt=opt
        )
        after = _select(finite, new, state)
        if is_held:  # chosen already
            kept = {player: weights.params[player] for player in held}
            kept_opt = {player: opt[player] for player in held}
            after = after.replace(params=after.params | kept, opt=after.opt | kept_opt)
        # averages `after.params`, not `weights.params`: otherwise XLA keeps a copy of the
        # parameters from before the step
        ema = moving_average(state.ema, after.params, state.hypers['ema_half_life'], batch_size)
        report = _average([_report(move) for move in moves])
        return after.replace(ema=_select(finite, ema, state.ema)), {**report, 'finite': finite}

    return step


def _descend(
    turn: Turn,
    weights: Weights,
    opt: dict[str, Tree],
    batch: Batch,
    rng: Rng,
    state: State,
    optimizer: Optimizer,
    mean: OverDevices,
    checked: list | None,
) -> Move:
    """Updates the turn's players by their gradients.

    If `checked` is given, players and optimizers that can hold their state do not move unless the
    values in it, and the losses, gradients and `extra` of this turn, are finite.
    """
    gradients, losses, extra, metrics = gradients_of_turn(
        turn, weights, batch, rng, state.step, state.hypers
    )
    metrics = jax.tree.map(jnp.mean, metrics)
    gradients, losses, metrics = mean((gradients, losses, metrics))
    params, opt = dict(weights.params), dict(opt)
    norms = {player: optax.tree.norm(gradients[player]) for player in turn.players}
    rules = {player: optimizer(player, state.hypers, state.step) for player in turn.players}
    finite = None
    if checked is not None and all(isinstance(rule, HoldingRule) for rule in rules.values()):
        finite = all_finite((checked, losses, norms, extra))
    for player, rule in rules.items():
        options = {} if finite is None else {'finite': finite}
        before = params[player]
        update, opt[player] = rule.update(gradients[player], opt[player], before, **options)
        after = optax.apply_updates(before, update)
        params[player] = after if finite is None else _select(finite, after, before)
    return Move(Weights(params, extra), opt, losses, norms, metrics, finite)


def _held_players(turns: Turns) -> tuple[str, ...]:
    """Returns the players of the last turn if it can keep them in a step that is not finite.

    It can if it is the only turn of these players, descends in every step, and so knows whether the
    whole step is finite before it moves.
    """
    *others, last = turns
    earlier = {player for turn in others for player in turn.players}
    is_able = not isinstance(last, Fit) and last.when is None
    return last.players if is_able and not earlier & {*last.players} else ()


def _fit(
    turn: Fit,
    weights: Weights,
    opt: dict[str, Tree],
    batch: Batch,
    rng: Rng,
    state: State,
    mean: OverDevices,
) -> Move:
    """Replaces the parameters of the turn's players by fitted ones, without an optimizer."""
    losses, (moved, extra, metrics) = turn.fit(weights, batch, rng, state.step, state.hypers)
    losses, metrics = mean((losses, jax.tree.map(jnp.mean, metrics)))
    return Move(Weights({**weights.params, **moved}, extra), opt, losses, {}, metrics)


def _report(move: Move) -> Metrics:
    """Returns the report of one turn, under the names of metrics.jsonl."""
    losses, norms = (
        _by_player('loss', move.losses),
        _by_player('gradient_norm', move.gradient_norms),
    )
    return {**losses, **norms, **move.metrics}


def _select(condition: Bool[Array, ''], new: Tree, old: Tree) -> Tree:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)


def moving_average(ema: Tree, params: Tree, half_life_examples, batch_size: int) -> Tree:
    """Returns d ema + (1 - d) params, where d = 2^(-batch_size / half_life_examples).

    Returns `params` if the half-life is 0.
    """
    half_life = jnp.asarray(half_life_examples, jnp.float32)
    half_lives = batch_size / jnp.maximum(half_life, 1e-6)
    new_weight = jnp.where(half_life > 0, -jnp.expm1(-jnp.log(2.0) * half_lives), 1.0)
    return optax.incremental_update(params, ema, new_weight)


def _by_player(name: str, values: dict[str, Array]) -> dict[str, Array]:
    """Names values by player: 'loss' for a player called 'model', else 'loss_generator' etc."""
    return {name if player == 'model' else f'{name}_{player}': v for player, v in values.items()}


def _average(reports: list[dict[str, Array]]) -> dict[str, Float[Array, '']]:
    """Averages each name over the turns that report it (a critic may move several times a step)."""
    names = dict.fromkeys(name for report in reports for name in report)
    values = {name: [report[name] for report in reports if name in report] for name in names}
    return {name: jnp.mean(jnp.stack(v).astype(jnp.float32)) for name, v in values.items()}


def all_finite(tree: Tree) -> Bool[Array, '']:
    """Whether every value in `tree` is finite."""
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]))
