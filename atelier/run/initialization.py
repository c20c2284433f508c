"""The initial State of a run, and its shapes."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt32

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
Examples = dict[str, Array | np.ndarray]  # of training: an array [n, *event] by name
Initializer = Callable[[Array, dict[str, Array], Examples], State]


def initial_state(run: Run) -> State:
    """Returns the State before the first step, a function of the config and the data alone."""
    init = initializer(run, run.data.preprocess)
    return jax.jit(init, compiler_options=ONCE)(*arguments(run), first_examples(run))


def abstract_state(run: Run) -> State:
    """Returns the shapes and types of `initial_state` without computing it, for a restore.

    Data that have not been read yet are not read: their shapes are enough.
    """
    if isinstance(run.data, StandIn):
        batch = run.data.zero_batch(_first_size(run))
        return shapes(initializer(run, lambda batch, keys: batch), run, batch)
    return shapes(initializer(run, run.data.preprocess), run, first_examples(run))


def shapes(init: Initializer, run: Run, examples: Examples) -> State:
    """Returns the shapes and types of a State, and checks that it fits into memory.

    Raises:
      UserError: it does not fit.
    """
    with limits.within_memory(run.config):
        state = jax.eval_shape(init, *arguments(run), examples)
    limits.check_state(state, run.config, run.data.spec)
    return state


def arguments(run: Run) -> tuple[Array, dict[str, Array]]:
    """Returns (key, hypers), which distinguish the initial States of runs on the same data."""
    hypers = {name: jnp.float32(value) for name, value in run.config.hypers.items()}
    return jax.random.PRNGKey(run.config.seed), hypers


def first_examples(run: Run) -> Examples:
    """Returns the first minibatch, not preprocessed, which data-dependent initialization reads."""
    size = _first_size(run)
    return {name: array[:size] for name, array in run.data.splits['train'].items()}


def _first_size(run: Run) -> int:
    return min(run.config.train.batch_size, run.data.size('train'))


def initializer(
    run: Run, preprocess: Callable[[Batch, UInt32[Array, 'local 2']], Batch]
) -> Initializer:
    """Returns init(key, hypers, examples) -> State, initialized with the preprocessed examples.

    The examples are an argument, because the compiler would evaluate what follows from constants
    alone, such as the counts of all n-grams, and takes minutes for it.
    """

    def init(key, hypers, examples):
        size = len(examples['x'])
        keys = rng_for(key_for(key, Stream.PREPROCESS), jnp.arange(size), size).keys
        batch = preprocess(examples, keys)
        return train_step.init_state(run.family, optimizers.chosen(run.config), key, batch, hypers)

    return init
