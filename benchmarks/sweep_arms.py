"""The arms of `benchmarks.sweep_speed` in steady state, each in a process of its own."""

import pathlib
from collections.abc import Callable

import jax
import numpy as np

from atelier import checkout
from atelier.core import devices as device_lib
from atelier.run import restore
from atelier.run.config_values import flatten
from atelier.run.experiment import Run
from atelier.sweep import plan
from atelier.sweep.axes import parse, settings
from atelier.sweep.vmapped_program import compiled_for
from atelier.training.dispatch import compile_dispatch
from benchmarks import precisions
from benchmarks.worker import Arm, main

ONE_BY_ONE, FORMS = 'one by one', ('vmap', 'loop')


def members(
    config_path: str, axes: list[str], arguments: list[str], folder: pathlib.Path
) -> list[Run]:
    """Returns the runs of a sweep, which differ only in seed and hypers."""
    config_file = checkout.config_file(config_path)
    config = changed(config_file, arguments)
    values = flatten(config.to_dict())
    points = settings([parse(axis, values) for axis in axes], 0, 0)
    (group,) = plan.groups_of(plan.runs_of(folder, config_file, config, points))
    return group


def changed(config_file: checkout.ConfigFile, arguments: list[str]):
    """Returns the config with the settings `--config.X=Y`."""
    config = config_file.config()
    values = flatten(config.to_dict())
    for argument in arguments:
        field, _, value = argument.removeprefix('--config.').partition('=')
        (setting,) = settings([parse(f'{field}={value}', values)], 0, 0)
        config = plan.with_setting(config, setting)
    return config


def make(form: str, config: str, axes: list[str], length: int, arguments: list[str]) -> Arm:
    """Returns an arm that trains all members for `length` more steps; losses [members, length].

    form: 'vmap' or 'loop' (side by side), or 'one by one' as single runs.
    """
    precisions.set_products('float32')
    device_lib.enable_compilation_cache()
    runs = members(config, axes, arguments, pathlib.Path('unused'))
    for run in runs:
        with run.config.unlocked():
            run.config.train.update(steps=length, steps_per_dispatch=length)
            run.config.train.update(evaluate_every=length, checkpoint_every=length)
    start = restore.Start(runs[0])
    initial_states = [jax.tree.map(np.asarray, start(run)) for run in runs]
    arrays = device_lib.place(runs[0].data.splits['train'], jax.devices())
    if form == ONE_BY_ONE:
        return Arm(_one_by_one(runs, initial_states, arrays, length))
    compiled = compiled_for(runs, 0, start.like, jax.devices(), form)
    call, states = compiled.forms[form], compiled.layout.place(initial_states)
    return Arm(_together(call, states, arrays, len(runs)))


def _one_by_one(runs: list[Run], states: list, arrays, length: int) -> Callable[[], np.ndarray]:
    devices = jax.devices()
    dispatch = compile_dispatch(runs[0], length, devices)
    device_indices = device_lib.local_indices(devices)
    states = [device_lib.place(state, devices) for state in states]

    def train() -> np.ndarray:
        losses = []
        for i, state in enumerate(states):
            states[i], report = dispatch(state, arrays, device_indices)
            losses.append(jax.device_get(report)['loss'])
        return np.stack(losses)

    return train


def _together(call: Callable, states, arrays, count: int) -> Callable[[], np.ndarray]:
    box = [states]

    def train() -> np.ndarray:
        box[0], reports = call(box[0], arrays)
        losses = jax.device_get(reports)['loss']  # [devices, rows, steps]
        return losses.reshape(-1, losses.shape[-1])[:count]

    return train


if __name__ == '__main__':
    main(make)
