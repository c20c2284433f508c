"""The dispatches of a run without the rest of the loop, as an arm of a benchmark."""

import contextlib
from collections.abc import Callable, Sequence

import jax
import numpy as np

from atelier.core import devices as device_lib
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.training.dispatch import compile_dispatch
from atelier.training.input_pipeline import feed


def placed(run: Run, devices: Sequence[jax.Device]) -> tuple:
    """Returns the arguments of a dispatch on `devices`: (State, arrays, local device indices)."""
    state = jax.tree.map(np.asarray, restore.initial_state(run))
    arrays = device_lib.place(run.data.splits['train'], devices)
    return device_lib.place(state, devices), arrays, device_lib.local_indices(devices)


def trainer(
    stack: contextlib.ExitStack,
    run: Run,
    length: int,
    steps: int,
    devices: Sequence[jax.Device],
    wait: bool = True,
    loss: str = 'loss',
) -> Callable[[], np.ndarray]:
    """Returns train() -> the losses [steps] of `steps` more steps, `length` per dispatch.

    Args:
      stack: closes the data stream.
      run: the run; nothing is written to disk.
      length: steps per dispatch; divides `steps`.
      steps: steps per call.
      devices: to train on.
      wait: whether to wait for each report, as the loop does, or for all at the end.
      loss: name of the returned loss.
    """
    if steps % length:
        raise ValueError(f'{steps} steps cannot be divided into dispatches of {length}')
    with run.config.unlocked():
        run.config.train.steps = 10**9  # so that a stream does not end
    dispatch = compile_dispatch(run, length, devices)
    next_arrays = stack.enter_context(feed(run, 0, length, devices))
    device_indices = device_lib.local_indices(devices)
    box = [device_lib.place(jax.tree.map(np.asarray, restore.initial_state(run)), devices)]

    def train():
        reports = []
        for _ in range(steps // length):
            box[0], report = dispatch(box[0], next_arrays(), device_indices)
            reports.append(jax.device_get(report[loss]) if wait else report[loss])
        return np.concatenate(jax.device_get(reports))

    return train
