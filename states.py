"""The State of a run: the first one, and the one that an evaluation or an application uses."""

import contextlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

import devices as device_lib
import game
import optimizers
from checkpoint import Checkpoints
from errors import UserError, choose
from experiment import Run
from game import State
from reporting import log

WEIGHTS = {'best': True, 'last': False}


def initial_state(run: Run) -> State:
    """The State before the first step, a function of the config alone."""
    return jax.jit(_initializer(run))(jax.random.PRNGKey(run.config.seed))


def started_from(run: Run, source: Run) -> State:
    """The first State of `run`, but with the weights that an evaluation of `source` would use.

    Raises:
      UserError: as `check_weights_fit`.
    """
    found, words = check_weights_fit(run, source)
    log.info('starting from the weights of %s: %s', source.folder, words)
    copy = lambda tree: jax.tree.map(jnp.copy, tree)  # the State is donated
    weights = dict(params=copy(found.ema), ema=copy(found.ema), extra=copy(found.extra))
    return initial_state(run).replace(**weights)


def check_weights_fit(run: Run, source: Run) -> tuple[State, str]:
    """`load_state(source)`, if its weights have the names and shapes of those of `run`.

    Raises:
      UserError: they have not, or there are none.
    """
    loaded = load_state(source)
    here, there = (
        _shapes((state.params, state.extra)) for state in (abstract_state(run), loaded[0])
    )
    differ = [
        f'{name} ({there.get(name, "missing")} there, {here.get(name, "missing")} here)'
        for name in sorted({*here, *there})
        if here.get(name) != there.get(name)
    ]
    if differ:
        more = f' and {len(differ) - 3} more' if len(differ) > 3 else ''
        raise UserError(f'the weights of {source.folder} do not fit: {"; ".join(differ[:3])}{more}')
    return loaded


def _shapes(tree) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {
        jax.tree_util.keystr(path[1:], simple=True, separator='/'): x.shape for path, x in leaves
    }


def abstract_state(run: Run) -> State:
    """The shapes and types of `initial_state`, without computing it: what a restore needs."""
    return jax.eval_shape(_initializer(run), jax.random.PRNGKey(run.config.seed))


def _initializer(run: Run) -> Callable[[Array], State]:
    """init(key) -> State; the first minibatch is there for a data-dependent start."""
    hypers = {name: jnp.float32(value) for name, value in run.config.hypers.items()}
    size = min(run.config.train.batch_size, run.data.size('train'))
    first = {name: jnp.asarray(array[:size]) for name, array in run.data.splits['train'].items()}

    def init(key):
        batch_key = game.address(key, game.Purpose.PREPROCESS)
        batch = run.data.preprocess(first, game.draw_for(batch_key, jnp.arange(size), size).keys)
        return game.init_state(run.family, optimizers.adam, key, batch, hypers)

    return init


def load_state(run: Run) -> tuple[State, str]:
    """The State that `config.eval.weights` chooses, on all devices, and in words which it is.

    Raises:
      UserError: there is no checkpoint that can be read.
    """
    wants_best = choose('eval.weights', run.config.eval.weights, WEIGHTS)
    folder = run.folder / 'checkpoints'
    if not folder.is_dir():
        raise UserError(f'{run.folder} has no checkpoint yet: train it first')
    with contextlib.closing(Checkpoints(folder, read_only=True)) as checkpoints:
        like = abstract_state(run)
        newest = checkpoints.restore_newest(like)
        if newest is None:
            raise UserError(f'{run.folder} has no checkpoint yet: train it first')
        state, memory = newest
        which = 'last'
        if wants_best and memory.best_step is not None:
            try:
                state, which = checkpoints.restore(memory.best_step, like)[0], 'best'
            except UserError as error:
                log.warning('%s; the last one is used', error)
    averaged = ', averaged' if run.config.hypers.ema_half_life > 0 else ''
    words = f'{which} checkpoint, step {int(state.step)}{averaged}'
    return device_lib.place(state, jax.devices()), words
