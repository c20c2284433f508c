"""A dispatch: many steps (gather, preprocess, update) in one scan, pmapped over devices."""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from atelier.core import compilation, game, optimizers, train_step
from atelier.core import devices as device_lib
from atelier.core.family import Family
from atelier.core.game import State
from atelier.core.randomness import Stream, identity, key_for, rng_for
from atelier.core.types import Batch, Optimizer
from atelier.data import shuffle
from atelier.data.dataset import Dataset
from atelier.log import counted
from atelier.run import limits
from atelier.run.experiment import Run
from atelier.training.input_pipeline import feed, is_streamed, max_steps


class Program(NamedTuple):
    """The compiled training program: each call trains every member for `num_steps` more steps.

    A single run is the only member; a sweep stacks many members in one State.
    """

    num_steps: int
    dispatch: Callable[[State], tuple[State, list[dict[str, np.ndarray]]]]  # one report per member
    member: Callable[[State, int], State]  # the State of member i, valid until the next dispatch
    to_evaluate: Callable[[State], State]  # the fields evaluation reads, placed on all devices


@contextlib.contextmanager
def data_parallel(run: Run, start: int, devices: Sequence[jax.Device]) -> Iterator[Program]:
    """Yields the program of a single run, with each minibatch split over the devices.

    The State is replicated on all devices and donated. The host waits once per dispatch. The first
    dispatch compiles the program.

    Raises:
      UserError: at the first dispatch, if the program does not fit into memory.
    """
    length = dispatch_length(run.config.train, start, max_steps(run, devices))
    mapped, compiled = compile_dispatch(run, length, devices), []
    device_indices = device_lib.local_indices(devices)
    with feed(run, start, length, devices) as next_arrays:

        def dispatch(state: State):
            arrays = next_arrays()
            if not compiled:
                compiled.append(_fitting(run, mapped, state, arrays, device_indices))
            state, report = compiled[0](state, arrays, device_indices)
            return state, [jax.device_get(report)]

        yield Program(length, dispatch, lambda state, i: state, identity)


def _fitting(run: Run, mapped: Callable, *arguments) -> Callable:
    """Returns the program compiled for these arguments, once it is known to fit into memory.

    Of several processes, each has only its part of the arguments: they compile at the first call.
    """
    if jax.process_count() > 1:
        return mapped
    options = compilation.training_options(run.config.train)
    program = compilation.compiled(mapped.lower(*arguments), options)
    limits.check_step(program, run.data.spec)
    return program


def make_dispatch(
    family: Family,
    data: Dataset,
    optimizer: Optimizer,
    batch_size: int,
    num_steps: int,
    num_devices: int = 1,
    mean: Callable = identity,
    gather: Callable = identity,
    streamed: bool = False,
    unroll: int = 1,
) -> Callable:
    """Returns the pure dispatch(state, arrays, device) -> (state, reports [num_steps]).

    `arrays` is the training split or, with `streamed`, the minibatches that `feed` read for these
    steps. `device` is the index of this device: device d trains on rows d * b to d * b + b - 1 of
    every minibatch, where b is the batch size per device. With the defaults, one device computes
    everything, so that a sweep can vmap the dispatch over the States of its members. The body of
    the loop holds `unroll` steps.
    """
    step = train_step.make_step(family.turns, optimizer, batch_size, mean, gather)
    local = batch_size // num_devices

    def dispatch(state: State, arrays: dict[str, Array], device: Int[Array, '']):
        rows = device * local + jnp.arange(local)

        def one_step(state, raw):
            if not streamed:
                raw = gathered(state, arrays, rows, family.turns, batch_size)
            batches = preprocessed(state, raw, data, rows, family.turns, batch_size)
            return step(state, batches, rows)

        state, report = jax.lax.scan(
            one_step, state, arrays if streamed else None, num_steps, unroll=unroll
        )
        is_finite = train_step.all_finite((state.params, state.opt, state.ema))
        return state, {**report, 'finite': report['finite'].at[-1].min(is_finite)}

    return dispatch


def gathered(state: State, arrays, rows, turns, batch_size: int) -> dict[str, Array]:
    """Returns the minibatches t*M to t*M + M - 1, those of step t, as stored: [M, local, ...]."""
    key = key_for(state.key, Stream.SHUFFLE)
    n, count = len(arrays['x']), game.num_minibatches(turns)
    index = [
        shuffle.minibatch_indices(key, _minibatch_index(state, j, count), rows, batch_size, n)
        for j in range(count)
    ]
    return {name: jnp.stack([array[i] for i in index]) for name, array in arrays.items()}


def preprocessed(state: State, raw, data: Dataset, rows, turns, batch_size: int) -> list[Batch]:
    """Returns the M minibatches of this step, augmented and preprocessed for the turns."""
    count, batches = game.num_minibatches(turns), []
    for j in range(count):
        batch = {name: array[j] for name, array in raw.items()}
        index = _minibatch_index(state, j, count)
        if data.augment is not None:
            key = key_for(state.key, Stream.AUGMENT, index)
            batch['x'] = data.augment(batch['x'], rng_for(key, rows, batch_size).keys)
        keys = rng_for(key_for(state.key, Stream.PREPROCESS, index), rows, batch_size).keys
        batches.append(data.preprocess(batch, keys))
    return batches


def _minibatch_index(state: State, j: int, count: int) -> Array:
    """Returns the index, since the start of the run, of minibatch j of this step's `count`."""
    return state.step.astype(jnp.uint32) * count + j


def compile_dispatch(run: Run, num_steps: int, devices: Sequence[jax.Device]) -> Callable:
    """Returns the dispatch mapped over `devices`, for arrays of `feed`; its first call compiles it.

    The State is donated.
    """
    streamed = is_streamed(run, devices)
    dispatch = make_dispatch(
        run.family,
        run.data,
        optimizers.chosen(run.config),
        run.config.train.batch_size,
        num_steps,
        len(devices),
        device_lib.mean,
        device_lib.gather,
        streamed,
        run.config.train.unroll,
    )
    axes = (None, 0 if streamed else None, 0)
    return device_lib.over_devices(dispatch, axes, donate=(0,), devices=devices)


def dispatch_length(config, start: int = 0, max_steps: float = math.inf) -> int:
    """Returns the steps per dispatch, from `train` settings and the step at which to start.

    It is the largest common divisor of `start`, `steps`, `evaluate_every` and `checkpoint_every`
    that is at most `steps_per_dispatch` and at most `max_steps`.
    """
    common = math.gcd(config.steps, config.evaluate_every, config.checkpoint_every, start)
    ceiling = min(config.steps_per_dispatch, max(1, max_steps))
    small = [d for d in range(1, math.isqrt(common) + 1) if common % d == 0]
    return max(d for d in (*small, *(common // d for d in small)) if d <= ceiling)


def suggest_cadences(config, start: int = 0) -> str | None:
    """Returns a message with nearby values of the settings that allow longer dispatches, or None.

    It is None if dispatches are longer than half of what the best values would allow.
    """
    names = ('steps', 'evaluate_every', 'checkpoint_every')
    length, ceiling = dispatch_length(config, start), config.steps_per_dispatch
    best = min(ceiling, *(config[name] for name in names))
    if 2 * length > best:
        return None
    near = {name: best * max(1, round(config[name] / best)) for name in names}
    suggestions = [f'train.{name}={near[name]}' for name in names if near[name] != config[name]]
    short = f'a dispatch has only {counted(length, "step")} of at most {best}'
    if start % best:
        return f'{short}, because the run continues from step {start}'
    return f'{short}; set {", ".join(suggestions)} to reach that'
