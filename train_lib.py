"""The loop: one pmapped dispatch of many steps, and what the host does between two of them.

A Run (config, family, data) has a State, restored or made. Dispatch by dispatch the State goes
through `make_dispatch`, which is pure and runs on every device; the host then logs and checks its
report, looks at the validation split (`Watch`) and saves. Nothing is saved unchecked.
"""

import contextlib
import math
import pathlib
import time
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int
from tqdm import tqdm

import devices as device_lib
import game
import optimizers
import run_folder
from cadence import dispatch_length, suggest_cadences
from checkpoint import Checkpoints, Memory
from checks import check_training
from datasets import shuffle
from datasets.dataset import Dataset
from errors import UserError
from evaluation.watch import Watch
from experiment import Run
from feeding import feed, is_streamed, most_steps
from game import Family, State
from reporting import MetricsLog, log
from signals import Stopped, stop_requests
from states import abstract_state, initial_state, started_from


def train(run: Run, devices: Sequence[jax.Device] | None = None) -> State:
    """Trains `run` to its end, from its newest checkpoint where there is one.

    Returns the last State. Its folder then holds the metrics, pictures and checkpoints; a process
    that is killed at any moment and started again ends with bitwise the same State.

    Raises:
      UserError: the config cannot be run here, the loss became non-finite, or the disk is full.
      Stopped: after SIGTERM or SIGINT.
    """
    devices = devices or jax.devices()
    check_training(run, len(devices))
    with contextlib.ExitStack() as stack:
        stack.enter_context(run_folder.only_trainer(run.folder))
        run_folder.write_config(run, len(devices))
        checkpoints = Checkpoints(run.folder / 'checkpoints')
        stack.enter_context(contextlib.closing(checkpoints))
        restored = checkpoints.restore_newest(abstract_state(run))
        state, memory = restored or (_first_state(run), Memory())
        state = device_lib.place(state, devices)
        if finished(run.config, int(state.step), memory):
            log.info('%s is finished at step %d', run.folder, state.step)
            return state
        announce(run, state, len(devices))
        return _loop(run, state, memory, checkpoints, devices)


def _first_state(run: Run) -> State:
    if run.init_from is None:
        return initial_state(run)
    return started_from(run, pathlib.Path(run.init_from))


def _loop(run: Run, state: State, memory: Memory, checkpoints: Checkpoints, devices) -> State:
    config, step = run.config.train, int(state.step)
    length = dispatch_length(config, step, most_steps(run, devices))
    dispatch = compile_dispatch(run, length, devices)
    numbers = device_lib.local_indices(devices)
    metrics_log = MetricsLog(run.folder, step)  # cut at the restored step, which Watch reads
    watch = Watch(run, devices)
    with (
        contextlib.closing(metrics_log),
        feed(run, step, length, devices) as next_arrays,
        stop_requests() as received,
        tqdm(total=config.steps, initial=step, unit='step', dynamic_ncols=True) as bar,
    ):
        while not finished(run.config, step, memory):
            began = time.perf_counter()
            state, report = dispatch(state, next_arrays(), numbers)
            report = jax.device_get(report)  # the host waits once a dispatch
            rate = length / (time.perf_counter() - began)
            _log_dispatch(metrics_log, config.log_every, step, report, rate)
            stop_on_non_finite(report, step, checkpoints.steps())
            step += length
            _show(bar, length, report)
            if step % config.evaluate_every == 0 or step >= config.steps:
                memory = watch(state, memory, metrics_log, report)
            stop = list(received)  # once: a signal may arrive between two looks
            if (
                step % config.checkpoint_every == 0
                or step == memory.best_step
                or stop
                or finished(run.config, step, memory)
            ):
                checkpoints.save(state, memory)
            if stop:
                checkpoints.wait()
                bar.close()
                log.info('stopped at step %d and saved it: the same command continues', step)
                raise Stopped(128 + stop[0])
        checkpoints.wait()
    return state


def make_dispatch(
    family: Family,
    data: Dataset,
    optimizer: game.Optimizer,
    batch_size: int,
    num_steps: int,
    num_devices: int = 1,
    mean: Callable = game.identity,
    gather: Callable = game.identity,
    streamed: bool = False,
) -> Callable:
    """Returns the pure dispatch(state, arrays, device) -> (state, reports [num_steps]).

    `arrays` is the training split, or what a feed has read of it for these steps, and `device`
    this device's number; device d works on rows d * b to d * b + b - 1 of every minibatch. With
    the defaults it is the whole computation on one device, ready for a vmap over States: a member
    of a sweep.
    """
    step = game.make_step(family.turns, optimizer, batch_size, mean, gather)
    local = batch_size // num_devices

    def dispatch(state: State, arrays: dict[str, Array], device: Int[Array, '']):
        rows = device * local + jnp.arange(local)

        def one(state, raw):
            if not streamed:
                raw = gathered(state, arrays, rows, family.turns, batch_size)
            batches = shown(state, raw, data, rows, family.turns, batch_size)
            return step(state, batches, rows)

        state, report = jax.lax.scan(one, state, arrays if streamed else None, length=num_steps)
        whole = game.all_finite((state.params, state.opt, state.ema))
        return state, {**report, 'finite': report['finite'].at[-1].min(whole)}

    return dispatch


def gathered(state: State, arrays, rows, turns, batch_size: int) -> dict[str, Array]:
    """This step's minibatches as they are stored, [M, local, ...]: numbers t*M to t*M + M - 1."""
    key = game.address(state.key, game.Purpose.SHUFFLE)
    n, count = len(arrays['x']), game.num_minibatches(turns)
    index = [
        shuffle.minibatch_indices(key, _number(state, j, count), rows, batch_size, n)
        for j in range(count)
    ]
    return {name: jnp.stack([array[i] for i in index]) for name, array in arrays.items()}


def shown(state: State, raw, data: Dataset, rows, turns, batch_size: int) -> list[game.Batch]:
    """The M minibatches as the turns see them."""
    count, batches = game.num_minibatches(turns), []
    for j in range(count):
        key = game.address(state.key, game.Purpose.PREPROCESS, _number(state, j, count))
        keys = game.draw_for(key, rows, batch_size).keys
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
        optimizers.adam,
        run.config.train.batch_size,
        num_steps,
        len(devices),
        device_lib.mean,
        device_lib.gather,
        streamed,
    )
    axes = (None, 0 if streamed else None, 0)
    return device_lib.over_devices(dispatch, axes, donate=(0,), devices=devices)


def finished(config, step: int, memory: Memory) -> bool:
    """All steps are done, or the validation metric has not improved for `patience` evaluations."""
    patience = config.train.patience
    return step >= config.train.steps or 0 < patience <= memory.evaluations_since_best


def announce(run: Run, state: State, num_devices: int) -> None:
    """Says what is trained on what."""
    train, data = run.config.train, run.data
    count = sum(x.size for x in jax.tree.leaves(state.params))
    log.info(
        '%s: %s parameters (%s) on %s training examples (%s)',
        run.folder,
        f'{count:,}',
        ', '.join(state.params),
        f'{data.size("train"):,}',
        data.description,
    )
    log.info(
        '%d %s device%s, batch %d, steps %d to %d',
        num_devices,
        jax.devices()[0].platform,
        '' if num_devices == 1 else 's',
        train.batch_size,
        state.step,
        train.steps,
    )
    hint = suggest_cadences(train, int(state.step))
    if hint:
        log.warning('%s', hint)
    hypers = run.config.hypers
    if 0 < hypers.decay_steps < train.steps and hypers.learning_rate_end == 0:
        log.warning(
            'the learning rate is 0 from step %d on (config.hypers.decay_steps)', hypers.decay_steps
        )


def stop_on_non_finite(report: dict[str, np.ndarray], start: int, saved: list) -> None:
    """Names the first step of a dispatch whose loss or gradient is not a number.

    Raises:
      UserError: there is one. The State froze before it, and is not saved.
    """
    bad = np.flatnonzero(~np.asarray(report['finite']))
    if bad.size:
        at = {name: float(v[bad[0]]) for name, v in report.items() if name != 'finite'}
        broken = [f'{name}={v}' for name, v in at.items() if not math.isfinite(v)]
        names = ', '.join(broken) or 'parameters that are not finite'
        last = f'the last checkpoint is of step {saved[-1]}' if saved else 'there is no checkpoint'
        raise UserError(
            f'{names} at step {start + int(bad[0]) + 1}: training stopped, {last}; try a smaller '
            'config.hypers.learning_rate, or config.hypers.clip_norm=1, in a new --workdir'
        )


def _show(bar: tqdm, steps: int, report) -> None:
    losses = {name: f'{v[-1]:.4g}' for name, v in report.items() if name.startswith('loss')}
    bar.set_postfix(losses, refresh=False)
    bar.update(steps)


def _log_dispatch(metrics_log: MetricsLog, every: int, start: int, report, rate: float) -> None:
    """A line for every `every`-th step before a non-finite one; the board gets the last line."""
    names = [name for name in report if name != 'finite']
    good = int(np.argmin(np.append(report['finite'], False)))
    for i in range(good):
        step = start + i + 1
        if step % every == 0:
            values = {f'train/{name}': float(report[name][i]) for name in names}
            metrics_log.write(step, values, to_board=step + every > start + good)
    metrics_log.write(start + good, {'time/steps_per_second': rate})
    metrics_log.flush()  # before a checkpoint promises these lines
