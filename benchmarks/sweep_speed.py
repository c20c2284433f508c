"""Speed of a sweep, compared with training its members one by one in one process.

    python -m benchmarks.sweep_speed --members=32

Steady state: time of one dispatch of all members, side by side in both forms (`vmap` and `loop`),
and one by one as single runs. Whole processes: seconds from start to end, including files,
validation and images, with a cold and a warm compilation cache. More flags `--config.X=Y` may
follow after `--`.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import jax
import numpy as np
from absl import app, flags

import train_lib
from atelier import checkout
from atelier.core import devices as device_lib
from atelier.errors import UserError
from atelier.run import restore
from atelier.run.config_values import flatten
from atelier.run.experiment import Run
from atelier.sweep import plan, sweep
from atelier.sweep.axes import parse, settings
from atelier.sweep.vmapped_program import compiled_for
from atelier.training.dispatch import compile_dispatch
from benchmarks.timing import alternate, spread

flags.DEFINE_string('config', 'configs/vae.py', 'config file')
flags.DEFINE_integer('members', 32, 'number of members, with seeds 0, 1, ...')
flags.DEFINE_integer('length', 100, 'steps per dispatch, in steady state')
flags.DEFINE_integer('repeats', 5, 'repeats of each arm, in steady state')
flags.DEFINE_bool('whole', True, 'also measure whole processes')
flags.DEFINE_enum(
    'child', '', ['', 'sweep', 'one by one'], 'internal: the arm that this process measures'
)
flags.DEFINE_string('folder', '', 'internal: folder of its runs')


def members(arguments: list[str], folder: pathlib.Path) -> list[Run]:
    """Returns runs that differ only in their seeds."""
    config_file = checkout.config_file(flags.FLAGS.config)
    seeds = settings([parse(f'seed=0:{flags.FLAGS.members}', {'seed': 0})], 0, 0)
    (group,) = plan.groups_of(
        plan.runs_of(folder, config_file, changed(config_file, arguments), seeds)
    )
    return group


def changed(config_file: checkout.ConfigFile, arguments: list[str]):
    """Returns the config with the settings that follow after `--`."""
    config = config_file.config()
    values = flatten(config.to_dict())
    for argument in arguments:
        field, _, value = argument.removeprefix('--config.').partition('=')
        (setting,) = settings([parse(f'{field}={value}', values)], 0, 0)
        config = plan.with_setting(config, setting)
    return config


def steady(runs: list[Run], length: int) -> dict[str, Callable[[], None]]:
    """Returns arms that each compute one dispatch of all members."""
    for run in runs:
        with run.config.unlocked():
            run.config.train.update(steps=length, steps_per_dispatch=length)
            run.config.train.update(evaluate_every=length, checkpoint_every=length)
    devices, start = jax.devices(), restore.Start(runs[0])
    initial_states = [jax.tree.map(np.asarray, start(run)) for run in runs]
    compiled = compiled_for(runs, 0, start.like, devices)
    arrays = device_lib.place(runs[0].data.splits['train'], devices)
    arms = {
        f'side by side, {form}': _together(call, compiled.layout.place(initial_states), arrays)
        for form, call in compiled.forms.items()
    }
    dispatch = compile_dispatch(runs[0], length, devices)
    device_indices = device_lib.local_indices(devices)
    states = [device_lib.place(state, devices) for state in initial_states]

    def one_by_one():
        for i in range(len(states)):
            states[i], report = dispatch(states[i], arrays, device_indices)
            jax.device_get(report)

    return {'one by one': one_by_one, **arms}


def _together(call: Callable, states: restore.State, arrays) -> Callable[[], None]:
    box = [states]

    def dispatch():
        box[0], reports = call(box[0], arrays)
        jax.device_get(reports)

    return dispatch


def child(arguments: list[str]) -> None:
    """Trains the members, below `--folder`, in a process that is timed as a whole."""
    folder = pathlib.Path(flags.FLAGS.folder)
    config_file = checkout.config_file(flags.FLAGS.config)
    device_lib.enable_compilation_cache()
    if flags.FLAGS.child == 'sweep':
        axes = [f'seed=0:{flags.FLAGS.members}']
        sweep.train(sweep.prepare(folder, config_file, changed(config_file, arguments), axes))
        return
    for run in members(arguments, folder):
        train_lib.train(run)


def seconds_of(arm: str, arguments: list[str], cache: str) -> float:
    """Returns the seconds of an arm in its own process."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, '-m', 'benchmarks.sweep_speed', f'--child={arm}']
        command += [f'--folder={folder}/runs', f'--config={flags.FLAGS.config}']
        command += [f'--members={flags.FLAGS.members}', '--', *arguments]
        environment = {**os.environ, 'JAX_COMPILATION_CACHE_DIR': cache}
        start = time.perf_counter()
        process = subprocess.run(
            command, cwd=checkout.ROOT, env=environment, capture_output=True, text=True
        )
        if process.returncode:
            raise UserError(f'{arm}: {process.stderr[-500:]}')
        return time.perf_counter() - start


def main(arguments):
    """Prints both tables."""
    values, arguments = flags.FLAGS, arguments[1:]
    if values.child:
        child(arguments)
        return
    device_lib.enable_compilation_cache()
    runs = members(arguments, pathlib.Path('unused'))
    print(f'{values.config}, {len(runs)} members, {jax.device_count()} {jax.devices()[0].platform}')
    seconds = alternate(steady(runs, values.length), values.repeats)
    print(f'steady state, ms a step of a member, median (range) of {values.repeats} repeats')
    reference = seconds['one by one']
    for name, times in seconds.items():
        per_step = 1e3 * times / len(runs) / values.length
        print(f'  {name:24} {spread(per_step, 3):28} ratio {np.median(reference / times):.2f}')
    if not values.whole:
        return
    print('whole processes, seconds')
    with tempfile.TemporaryDirectory() as root:
        for cache_state in ('cold compilation cache', 'warm compilation cache'):
            times = {
                arm: seconds_of(arm, arguments, f'{root}/{arm}') for arm in ('one by one', 'sweep')
            }
            summary = ', '.join(f'{arm} {total:.1f}' for arm, total in times.items())
            print(f'  {cache_state}: {summary}, ratio {times["one by one"] / times["sweep"]:.2f}')


if __name__ == '__main__':
    app.run(main)
