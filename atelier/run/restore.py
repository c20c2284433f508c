"""The State with which a run starts, and the trained one that is evaluated and used."""

import contextlib
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from atelier.core import devices as device_lib
from atelier.core.family import Family
from atelier.core.game import State
from atelier.core.stages import merged_state
from atelier.data.dataset import Dataset
from atelier.data.fingerprints import symbols_of
from atelier.errors import UserError, choose
from atelier.log import log
from atelier.multihost import processes
from atelier.run import initialization, limits, run_folder, two_stage
from atelier.run.checkpoint import Checkpoints
from atelier.run.checkpoint_content import leaf_name, leaves_by_name
from atelier.run.experiment import Run
from atelier.run.initialization import abstract_state, initial_state
from atelier.run.leakage import warn_of_leakage

__all__ = ['Start', 'TrainedRun', 'abstract_state', 'fitting_weights', 'initial_state', 'load']

_ATTEMPTS = 20  # to read the best checkpoint while another process trains
WEIGHTS = {'best': True, 'last': False}


class TrainedRun(NamedTuple):
    """A run with its weights.

    run: the run without its weights.
    state: the State that `config.eval.weights` chooses, on all devices.
    weights: description, such as 'best checkpoint, step 1000'.
    """

    run: Run
    state: State
    weights: str

    def __repr__(self) -> str:
        """Short, for notebooks, because the fields hold whole data sets."""
        return f'TrainedRun({str(self.run.folder)!r}, {self.weights!r})'

    @property
    def config(self) -> ConfigDict:
        """The run's config."""
        return self.run.config

    @property
    def family(self) -> Family:
        """The model, as pure functions of (state.averaged_weights, ...)."""
        return self.run.family

    @property
    def data(self) -> Dataset:
        """The data that it was trained on, read when an example is needed."""
        return self.run.data

    @property
    def devices(self) -> Sequence[jax.Device]:
        """All devices, because the State is on each of them."""
        return jax.devices()


class Start:
    """Initializes runs that differ only in seed, hypers and folder; traces and compiles once."""

    def __init__(self, run: Run):
        init = initialization.initializer(run, run.data.preprocess)
        self._init = jax.jit(init, compiler_options=initialization.ONCE)
        self._program: jax.stages.Compiled | None = None
        self._examples = initialization.first_examples(run)
        self._weights: dict[str, Any] = {}  # of the run in `init_from`, read at first use
        self.like = initialization.shapes(init, run, self._examples)

    def __call__(self, run: Run) -> State:
        """Returns the State of `run` before its first step.

        Raises:
          UserError: it cannot be computed in the memory of a device, or the run starts with the
            weights of another run, and they do not fit.
        """
        if run.init_from and not self._weights:
            source = pathlib.Path(run.init_from)
            self._weights, description = fitting_weights(run, source)
            log.info('starting from the weights of %s: %s', source, description)
            warn_of_leakage(run, source)
        arguments = *initialization.arguments(run), self._examples
        if self._program is None:
            self._program = self._init.lower(*arguments).compile()
            limits.check_start(self._program, run.data.spec)
        state = self._program(*arguments)
        return state.replace(**jax.tree.map(jnp.array, self._weights))


def fitting_weights(run: Run, folder: pathlib.Path) -> tuple[dict[str, Any], str]:
    """Returns {'params', 'ema', 'extra'} from the run in `folder`, and their description.

    The other run's config file and data are not needed.

    Raises:
      UserError: the folder is not a run, has no checkpoint, or its weights have other names or
        shapes or belong to data with other symbols or tokens of another codebook.
    """
    record = run_folder.load(folder)
    _check_symbols(run, folder, record)
    _check_tokens(run, folder, record)
    chosen = record['values']['eval'].get('weights', 'best')
    wants_best = choose('eval.weights', chosen, WEIGHTS)
    state, description = _restore(folder, record['id'], wants_best)
    saved, like = leaves_by_name(state.averaged_weights), abstract_state(run)
    expected = leaves_by_name(like.averaged_weights)
    shape = lambda leaves, name: leaves[name].shape if name in leaves else 'missing'
    differ = [
        f'{name.partition("/")[2]} ({shape(saved, name)} there, {shape(expected, name)} here)'
        for name in sorted({*expected, *saved})
        if shape(expected, name) != shape(saved, name)
    ]
    if differ:
        more = f' and {len(differ) - 3} more' if len(differ) > 3 else ''
        raise UserError(f'the weights of {folder} do not fit: {"; ".join(differ[:3])}{more}')
    ema, extra = jax.tree_util.tree_map_with_path(
        lambda path, leaf: saved[leaf_name(path)], like.averaged_weights
    )
    return dict(params=ema, ema=jax.tree.map(np.copy, ema), extra=extra), description


def _check_symbols(run: Run, folder: pathlib.Path, record: dict[str, Any]) -> None:
    """Refuses weights for other symbols. If the number of symbols is the same, the weights would
    fit but be meaningless.

    Raises:
      UserError: `run` is of text, and the weights are not of text with the same symbols.
    """
    symbols = run.data.spec.symbols
    if symbols is not None and symbols != symbols_of(record['data'] or {}):
        raise UserError(
            f'the weights of {folder} are for other symbols than {run.data.description}'
        )


def _check_tokens(run: Run, folder: pathlib.Path, record: dict[str, Any]) -> None:
    """Refuses weights for tokens of another codebook, which would fit but be meaningless.

    Raises:
      UserError: `run` or the run in `folder` is of tokens, and the other is not of the same ones.
    """
    digest = run.parent and run.parent.digest if run.data.spec.levels is not None else None
    has_levels = (record['spec'] or {}).get('levels') is not None
    other = record['parent'] and record['parent']['digest'] if has_levels else None
    if digest != other:
        raise UserError(
            f'the weights of {folder} are for other tokens than {run.data.description}: a codebook '
            'has an order of its own, so give a run on the tokens of the same parent'
        )


def load(run: Run) -> TrainedRun:
    """Loads the run with the weights that `config.eval.weights` chooses.

    A run of codes is returned as it is used, with the weights of its parent too.

    Raises:
      UserError: no checkpoint can be read.
    """
    run = two_stage.used(run)
    if run.child is None:
        return _load(run)
    child, parent = map(_load, two_stage.stages_of(run))
    state = merged_state(child.state, parent.state)
    return TrainedRun(run, state, f'{child.weights}; of the parent, {parent.weights}')


def parent_state(run: Run, devices: Sequence[jax.Device]) -> State:
    """Returns the parent's State of a run of codes, on these devices.

    Raises:
      UserError: it cannot be read.
    """
    _, parent = two_stage.stages_of(two_stage.used(run))
    return device_lib.place(_load(parent).state, devices)


def _load(run: Run) -> TrainedRun:
    wants_best = choose('eval.weights', run.config.eval.weights, WEIGHTS)
    like = abstract_state(run)
    if processes.is_first():
        run_id = run_folder.load(run.folder)['id']
        state, description = _restore(run.folder, run_id, wants_best, like)
    else:
        state, description = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), like), ''
    state, description = processes.from_first(state), processes.text_from_first(description)
    averaged = ', averaged' if run.config.hypers.ema_half_life > 0 else ''
    return TrainedRun(run, device_lib.place(state, jax.devices()), description + averaged)


def _restore(
    folder: pathlib.Path, run_id: str | None, wants_best: bool, like: State | None = None
) -> tuple[State, str]:
    """Restores the best or the last checkpoint as host arrays, with a description."""
    checkpoints_folder = folder / 'checkpoints'
    if not checkpoints_folder.is_dir():
        raise UserError(f'{folder} has no checkpoint yet: train it first')
    with contextlib.closing(Checkpoints(checkpoints_folder, True, run_id)) as checkpoints:
        state, kind = _best_or_last(checkpoints, wants_best, like)
    if state is None:
        raise UserError(f'{folder} has no checkpoint yet: train it first')
    return state, f'{kind} checkpoint, step {int(state.step)}'


def _best_or_last(
    checkpoints: Checkpoints, wants_best: bool, like: State | None
) -> tuple[State | None, str]:
    """Returns (the best State, 'best') if it is wanted and exists, else (the last State, 'last').

    If training replaces the best checkpoint before it is read, the last and the best are read
    again, a few times.
    """
    for _ in range(_ATTEMPTS):
        steps = checkpoints.steps()
        state, memory = checkpoints.restore_newest(like) or (None, None)
        if state is None or not wants_best or memory.best_step is None:
            return state, 'last'
        if memory.best_step == int(state.step):
            return state, 'best'
        try:
            return checkpoints.restore(memory.best_step, like)[0], 'best'
        except UserError as error:
            reason = error
            if checkpoints.steps() == steps:
                break
    log.warning('%s; the last one is used', reason)
    return state, 'last'
