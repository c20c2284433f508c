"""Plays a game: gradients by player, and a step of all turns in order. Pure, as `game` is."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from atelier.core.family import Family
from atelier.core.game import Fit, State, Turn, Turns
from atelier.core.randomness import Rng, Stream, key_for, rng_for
from atelier.core.types import Batch, Optimizer, Tree


def init_state(family: Family, optimizer: Optimizer, key, batch: Batch, hypers: dict) -> State:
    """The State before the first step; `batch` gives shapes, and data to a data-dependent start."""
    params, extra = family.init(key_for(key, Stream.INIT), batch)
    step = jnp.zeros((), jnp.int32)
    fitted = {player for turn in family.turns if isinstance(turn, Fit) for player in turn.players}
    opt = {
        player: optimizer(player, hypers, step).init(tree)
        for player, tree in params.items()
        if player not in fitted
    }
    ema = jax.tree.map(jnp.copy, params)  # a buffer of its own: the State is donated
    return State(step, key, params, extra, opt, ema, hypers)


def play(turn: Turn, params, extra, batch: Batch, draw: Rng, step, hypers):
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


def make_step(turns: Turns, optimizer: Optimizer, batch_size: int, mean, gather):
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
            key = key_for(state.key, Stream.TRAIN, state.step, number)
            draw = rng_for(key, rows, batch_size, gather)
            before = params, opt, extra
            move = _fit if isinstance(turn, Fit) else _descend
            seen = batches[turn.batch], draw, state.step, state.hypers
            params, opt, extra, report = move(turn, *before, seen, optimizer, mean)
            if turn.when is not None:
                moved = turn.when(state.hypers, state.step)
                params, opt, extra = _select(moved, (params, opt, extra), before)
            reports.append(report)
        report = _average(reports)
        checked = [v for name, v in report.items() if name.startswith(('loss', 'gradient_norm'))]
        fitted = [params[p] for turn in turns if isinstance(turn, Fit) for p in turn.players]
        finite = all_finite((checked, extra, fitted))
        new = state.replace(step=state.step + 1, params=params, extra=extra, opt=opt)
        after = _select(finite, new, state)
        # of what is kept, not of `params`: else XLA holds on to a copy of the old ones
        ema = moving_average(state.ema, after.params, state.hypers['ema_half_life'], batch_size)
        return after.replace(ema=_select(finite, ema, state.ema)), {**report, 'finite': finite}

    return step


def _descend(turn: Turn, params, opt, extra, seen, optimizer: Optimizer, mean):
    """(params, opt, extra, report) after the turn's players have followed their gradients."""
    batch, draw, step, hypers = seen
    moves, losses, extra, metrics = play(turn, params, extra, batch, draw, step, hypers)
    metrics = jax.tree.map(jnp.mean, metrics)
    moves, losses, metrics = mean((moves, losses, metrics))
    params, opt = dict(params), dict(opt)
    for player in turn.players:
        rule = optimizer(player, hypers, step)
        update, opt[player] = rule.update(moves[player], opt[player], params[player])
        params[player] = optax.apply_updates(params[player], update)
    norms = {player: optax.tree.norm(moves[player]) for player in turn.players}
    report = {**_by_player('loss', losses), **_by_player('gradient_norm', norms), **metrics}
    return params, opt, extra, report


def _fit(turn: Fit, params, opt, extra, seen, optimizer: Optimizer, mean):
    """Likewise, after its players have taken what fits; there is nothing for an optimizer."""
    del optimizer
    losses, (moved, extra, metrics) = turn.fit(params, extra, *seen)
    losses, metrics = mean((losses, jax.tree.map(jnp.mean, metrics)))
    return {**params, **moved}, opt, extra, {**_by_player('loss', losses), **metrics}


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
