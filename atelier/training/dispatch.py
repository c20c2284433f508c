"""Many steps as one program: gather, preprocess and step, scanned, and pmapped over devices."""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from atelier.core import devices as device_lib
from atelier.core import game, optimizers, train_step
from atelier.core.family import Family
from atelier.core.game import State
from atelier.core.randomness import Stream, identity, key_for, rng_for
from atelier.core.types import Batch, Optimizer
from atelier.data import shuffle
from atelier.data.dataset import Dataset
from atelier.run.experiment import Run
from atelier.training.input_pipeline import feed, is_streamed, most_steps


class Program(NamedTuple):
    """What the loop calls: `num_steps` more steps of every member.

    A run on its own is the only member; a sweep has many, side by side in one State.
    """

    num_steps: int
    dispatch: Callable[[State], tuple[State, list[dict[str, np.ndarray]]]]  # a report a member
    member: Callable[[State, int], State]  # that of one, until the next dispatch
    to_evaluate: Callable[[State], State]  # of that what an evaluation reads, on all devices


@contextlib.contextmanager
def data_parallel(run: Run, start: int, devices: Sequence[jax.Device]) -> Iterator[Program]:
    """The program of a run on its own: every device has its rows of each minibatch.

    The State lies on all devices and is donated; the host waits once a dispatch.
    """
    length = dispatch_length(run.config.train, start, most_steps(run, devices))
    compiled = compile_dispatch(run, length, devices)
    numbers = device_lib.local_indices(devices)
    with feed(run, start, length, devices) as next_arrays:

        def dispatch(state: State):
            state, report = compiled(state, next_arrays(), numbers)
            return state, [jax.device_get(report)]

        yield Program(length, dispatch, lambda state, i: state, identity)


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
) -> Callable:
    """Returns the pure dispatch(state, arrays, device) -> (state, reports [num_steps]).

    `arrays` is the training split, or what a feed has read of it for these steps, and `device`
    this device's number; device d works on rows d * b to d * b + b - 1 of every minibatch. With
    the defaults it is the whole computation on one device, ready for a vmap over States: a member
    of a sweep.
    """
    step = train_step.make_step(family.turns, optimizer, batch_size, mean, gather)
    local = batch_size // num_devices

    def dispatch(state: State, arrays: dict[str, Array], device: Int[Array, '']):
        rows = device * local + jnp.arange(local)

        def one(state, raw):
            if not streamed:
                raw = gathered(state, arrays, rows, family.turns, batch_size)
            batches = shown(state, raw, data, rows, family.turns, batch_size)
            return step(state, batches, rows)

        state, report = jax.lax.scan(one, state, arrays if streamed else None, length=num_steps)
        whole = train_step.all_finite((state.params, state.opt, state.ema))
        return state, {**report, 'finite': report['finite'].at[-1].min(whole)}

    return dispatch


def gathered(state: State, arrays, rows, turns, batch_size: int) -> dict[str, Array]:
    """This step's minibatches as they are stored, [M, local, ...]: numbers t*M to t*M + M - 1."""
    key = key_for(state.key, Stream.SHUFFLE)
    n, count = len(arrays['x']), game.num_minibatches(turns)
    index = [
        shuffle.minibatch_indices(key, _number(state, j, count), rows, batch_size, n)
        for j in range(count)
    ]
    return {name: jnp.stack([array[i] for i in index]) for name, array in arrays.items()}


def shown(state: State, raw, data: Dataset, rows, turns, batch_size: int) -> list[Batch]:
    """The M minibatches as the turns see them."""
    count, batches = game.num_minibatches(turns), []
    for j in range(count):
        key = key_for(state.key, Stream.PREPROCESS, _number(state, j, count))
        keys = rng_for(key, rows, batch_size).keys
        batches.append(data.preprocess({name: array[j] for name, array in raw.items()}, keys))
    return batches


def _number(state: State, j: int, count: int) -> Array:
    """Of minibatch j of this step's `count`, since the beginning of the run."""
    return state.step.astype(jnp.uint32) * count + j


def compile_dispatch(run: Run, num_steps: int, devices: Sequence[jax.Device]) -> Callable:
    """`make_dispatch` over `devices`, fed by `feed`, the State donated; it compiles once."""
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
    )
    axes = (None, 0 if streamed else None, 0)
    return device_lib.over_devices(dispatch, axes, donate=(0,), devices=devices)


def dispatch_length(config, start: int = 0, most: float = math.inf) -> int:
    """Steps per dispatch: the largest number that divides the steps left and every cadence.

    `train.steps_per_dispatch` is its ceiling, and `most`.
    """
    common = math.gcd(config.steps, config.evaluate_every, config.checkpoint_every, start)
    ceiling = min(config.steps_per_dispatch, max(1, most))
    return max(d for d in range(1, int(ceiling) + 1) if common % d == 0)


def suggest_cadences(config, start: int = 0) -> str | None:
    """In words, nearby cadences that make dispatches longer; None where they are long enough."""
    names = ('steps', 'evaluate_every', 'checkpoint_every')
    length, ceiling = dispatch_length(config, start), config.steps_per_dispatch
    best = min(ceiling, *(config[name] for name in names))
    if 2 * length > best:
        return None
    near = {name: best * max(1, round(config[name] / best)) for name in names}
    changes = [f'train.{name}={near[name]}' for name in names if near[name] != config[name]]
    short = f'a dispatch has only {length} of at most {best} steps'
    if start % best:
        return f'{short}, because the run continues from step {start}'
    return f'{short}; {", ".join(changes)} would give it all'
