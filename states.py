"""The State of a run: the first one, and the one that an evaluation or an application uses."""

import contextlib

import jax
import jax.numpy as jnp

import devices as device_lib
import game
import optimizers
from checkpoint import Checkpoints
from errors import UserError, choose
from game import State
from reporting import log
from run_folder import Run


def initial_state(run: Run) -> State:
    """The State before the first step, a function of the config alone."""
    hypers = {name: jnp.float32(value) for name, value in run.config.hypers.items()}
    size = min(run.config.train.batch_size, run.data.size('train'))
    first = {name: array[:size] for name, array in run.data.splits['train'].items()}

    @jax.jit
    def init(key, raw):
        keys = game.draw_for(key, jnp.arange(size), size).keys
        batch = run.data.preprocess(raw, keys)
        return game.init_state(run.family, optimizers.adam, key, batch, hypers)

    return init(jax.random.PRNGKey(run.config.seed), first)


def load_state(run: Run) -> tuple[State, str]:
    """The State that `config.eval.weights` chooses, on all devices, and in words which it is.

    Raises:
      UserError: there is no checkpoint that can be read.
    """
    wants_best = choose('eval.weights', run.config.eval.weights, {'best': True, 'last': False})
    folder = run.folder / 'checkpoints'
    if not folder.is_dir():
        raise UserError(f'{run.folder} has no checkpoint yet: train it first')
    with contextlib.closing(Checkpoints(folder)) as checkpoints:
        like = initial_state(run)
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
