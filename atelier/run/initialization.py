"""The initial State of a run, and its shapes."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from atelier.core import optimizers, train_step
from atelier.core.game import State
from atelier.core.randomness import Stream, key_for, rng_for
from atelier.core.types import Batch
from atelier.data.stand_in import StandIn
from atelier.run import limits
from atelier.run.experiment import Run

# little optimization, because the initial State is computed once: this halves the compilation time
# and does not slow execution
ONCE = {'xla_backend_optimization_level': 1}


def initial_state(run: Run) -> State:
    """Returns the State before the first step, a function of the config and the data alone."""
    init = initializer(run, first_batch(run))
    return jax.jit(init, compiler_options=ONCE)(*arguments(run))


def abstract_state(run: Run) -> State:
    """Returns the shapes and types of `initial_state` without computing it, for a restore.

    Data that have not been read yet are not read: their shapes are enough.
    """
    if isinstance(run.data, StandIn):
        size = min(run.config.train.batch_size, run.data.size('train'))
        batch = lambda key: run.data.zero_batch(size)
    else:
        batch = first_batch(run)
    return shapes(initializer(run, batch), run)


def shapes(init: Callable[[Array, dict[str, Array]], State], run: Run) -> State:
    """Returns the shapes and types of a State, and checks that it fits into memory.

    Raises:
      UserError: it does not fit.
    """
    with limits.within_memory(run.config):
        state = jax.eval_shape(init, *arguments(run))
    limits.check_state(state, run.config)
    return state


def arguments(run: Run) -> tuple[Array, dict[str, Array]]:
    """Returns (key, hypers), which distinguish the initial States of runs on the same data."""
    hypers = {name: jnp.float32(value) for name, value in run.config.hypers.items()}
    return jax.random.PRNGKey(run.config.seed), hypers


def first_batch(run: Run) -> Callable[[Array], Batch]:
    """Returns batch(key) -> the first minibatch, which data-dependent initialization reads."""
    size = min(run.config.train.batch_size, run.data.size('train'))
    first = {name: jnp.asarray(array[:size]) for name, array in run.data.splits['train'].items()}
    return lambda key: run.data.preprocess(first, rng_for(key, jnp.arange(size), size).keys)


def initializer(
    run: Run, batch_of: Callable[[Array], Batch]
) -> Callable[[Array, dict[str, Array]], State]:
    """Returns init(key, hypers) -> State, initialized with the batch `batch_of(key)`."""

    def init(key, hypers):
        batch = batch_of(key_for(key, Stream.PREPROCESS))
        return train_step.init_state(run.family, optimizers.chosen(run.config), key, batch, hypers)

    return init
