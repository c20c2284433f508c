"""The State of a run: the first one, and that of a trained run, which is evaluated and used."""

import contextlib
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from ml_collections import ConfigDict

from atelier.core import devices as device_lib
from atelier.core import optimizers, train_step
from atelier.core.family import Family
from atelier.core.game import State
from atelier.core.randomness import Stream, key_for, rng_for
from atelier.data.dataset import Dataset, symbols_told
from atelier.errors import UserError, choose
from atelier.log import log
from atelier.multihost import processes
from atelier.run import run_folder
from atelier.run.checkpoint import Checkpoints, leaf_name
from atelier.run.experiment import Run

WEIGHTS = {'best': True, 'last': False}
# the first State is computed once: it compiles in half the time, and takes no longer
ONCE = {'xla_backend_optimization_level': 1}


class TrainedRun(NamedTuple):
    """A run with its weights.

    run: whose weights they are.
    state: with the weights that `config.eval.weights` chooses, on all devices.
    weights: description, such as 'best checkpoint, step 1000'.
    """

    run: Run
    state: State
    weights: str

    def __repr__(self) -> str:
        """Short, for notebooks: the fields hold whole data sets."""
        return f'TrainedRun({str(self.run.folder)!r}, {self.weights!r})'

    @property
    def config(self) -> ConfigDict:
        """Of the run."""
        return self.run.config

    @property
    def family(self) -> Family:
        """The model, as pure functions of (state.averaged_weights, ...)."""
        return self.run.family

    @property
    def data(self) -> Dataset:
        """What it was trained on."""
        return self.run.data

    @property
    def devices(self) -> Sequence[jax.Device]:
        """All: those that the state is on."""
        return jax.devices()


class Start:
    """How runs begin that differ in seed, hypers and folder alone: traced and compiled once."""

    def __init__(self, run: Run):
        init = _initializer(run)
        self._init = jax.jit(init, compiler_options=ONCE)
        self._weights: dict[str, Any] = {}  # those of the run they begin with, read at first use
        self.like: State = jax.eval_shape(init, *_arguments(run))  # shapes and types, no numbers

    def __call__(self, run: Run) -> State:
        """The State of `run` before its first step.

        Raises:
          UserError: it begins with the weights of another run, and they do not fit.
        """
        if run.init_from and not self._weights:
            self._weights, words = fitting_weights(run, pathlib.Path(run.init_from))
            log.info('starting from the weights of %s: %s', run.init_from, words)
        return self._init(*_arguments(run)).replace(**jax.tree.map(jnp.array, self._weights))


def initial_state(run: Run) -> State:
    """The State before the first step, a function of the config alone."""
    return jax.jit(_initializer(run), compiler_options=ONCE)(*_arguments(run))


def fitting_weights(run: Run, folder: pathlib.Path) -> tuple[dict[str, Any], str]:
    """{'params', 'ema', 'extra'} from the run in `folder`, and in words which they are.

    The other run's config file and data are not needed.

    Raises:
      UserError: it is no run, has no checkpoint, or its weights have other names or shapes or are
        of a text with other symbols.
    """
    record = run_folder.load(folder)
    _check_symbols(run, folder, record)
    chosen = record['values']['eval'].get('weights', 'best')
    found, words = _restore(folder, choose('eval.weights', chosen, WEIGHTS))
    there, like = _by_name(found.averaged_weights), abstract_state(run)
    here = _by_name(like.averaged_weights)
    shape = lambda leaves, name: leaves[name].shape if name in leaves else 'missing'
    differ = [
        f'{name.partition("/")[2]} ({shape(there, name)} there, {shape(here, name)} here)'
        for name in sorted({*here, *there})
        if shape(here, name) != shape(there, name)
    ]
    if differ:
        more = f' and {len(differ) - 3} more' if len(differ) > 3 else ''
        raise UserError(f'the weights of {folder} do not fit: {"; ".join(differ[:3])}{more}')
    ema, extra = jax.tree_util.tree_map_with_path(
        lambda path, leaf: there[leaf_name(path)], like.averaged_weights
    )
    return dict(params=ema, ema=jax.tree.map(np.copy, ema), extra=extra), words


def _check_symbols(run: Run, folder: pathlib.Path, record: dict[str, Any]) -> None:
    """Weights of one alphabet fit another of as many symbols, and mean nothing there.

    Raises:
      UserError: both runs are of text, and of different symbols.
    """
    symbols = run.data.spec.symbols
    if symbols is not None and symbols != symbols_told(record['data'] or {}):
        raise UserError(f'the weights of {folder} are of other symbols than {run.data.description}')


def _by_name(tree) -> dict[str, Any]:
    return {leaf_name(path): x for path, x in jax.tree_util.tree_leaves_with_path(tree)}


def abstract_state(run: Run) -> State:
    """The shapes and types of `initial_state`, without computing it: what a restore needs."""
    return jax.eval_shape(_initializer(run), *_arguments(run))


def _arguments(run: Run) -> tuple[Array, dict[str, Array]]:
    """(key, hypers): what makes the first State of one run another than that of the next."""
    hypers = {name: jnp.float32(value) for name, value in run.config.hypers.items()}
    return jax.random.PRNGKey(run.config.seed), hypers


def _initializer(run: Run) -> Callable[[Array, dict[str, Array]], State]:
    """init(key, hypers) -> State; the first minibatch is there for a data-dependent start."""
    size = min(run.config.train.batch_size, run.data.size('train'))
    first = {name: jnp.asarray(array[:size]) for name, array in run.data.splits['train'].items()}

    def init(key, hypers):
        batch_key = key_for(key, Stream.PREPROCESS)
        batch = run.data.preprocess(first, rng_for(batch_key, jnp.arange(size), size).keys)
        return train_step.init_state(run.family, optimizers.chosen(run.config), key, batch, hypers)

    return init


def load(run: Run) -> TrainedRun:
    """The run with the weights that `config.eval.weights` chooses.

    Raises:
      UserError: there is no checkpoint that can be read.
    """
    wants_best = choose('eval.weights', run.config.eval.weights, WEIGHTS)
    like = abstract_state(run)
    if processes.is_first():
        state, words = _restore(run.folder, wants_best, like)
    else:
        state, words = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), like), ''
    state, words = processes.from_first(state), processes.text_from_first(words)
    averaged = ', averaged' if run.config.hypers.ema_half_life > 0 else ''
    return TrainedRun(run, device_lib.place(state, jax.devices()), words + averaged)


def _restore(
    folder: pathlib.Path, wants_best: bool, like: State | None = None
) -> tuple[State, str]:
    """The best or the last checkpoint as host arrays, and in words which it is."""
    place = folder / 'checkpoints'
    if not place.is_dir():
        raise UserError(f'{folder} has no checkpoint yet: train it first')
    with contextlib.closing(Checkpoints(place, read_only=True)) as checkpoints:
        newest = checkpoints.restore_newest(like)
        if newest is None:
            raise UserError(f'{folder} has no checkpoint yet: train it first')
        state, memory = newest
        which = 'last'
        if wants_best and memory.best_step is not None:
            try:
                state, which = checkpoints.restore(memory.best_step, like)[0], 'best'
            except UserError as error:
                log.warning('%s; the last one is used', error)
    return state, f'{which} checkpoint, step {int(state.step)}'
