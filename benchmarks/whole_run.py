"""Whole trainings: their seconds, whether a second one has the same bits, and the CPU's evaluation.

    python -m benchmarks.whole_run

Trains a config twice with main.py, from start to end with files, pictures and evaluation: first
with an empty compilation cache, then with what the first one left there. The arrays of their last
checkpoints are compared bit by bit. The CPU of this machine then evaluates the first run, and the
metrics of both evaluations are compared. More flags `--config.X=Y` may follow after `--`.
"""

import contextlib
import pathlib
import sys
import tempfile
import time

import jax
import numpy as np
from absl import flags

from atelier import files
from atelier.run.checkpoint import Checkpoints
from atelier.run.checkpoint_content import leaves_by_name
from benchmarks import child_process, outcome

ARMS = ('cold compilation cache', 'warm compilation cache')

flags.DEFINE_string('config', 'configs/vae.py', 'config file')
flags.DEFINE_string('data_dir', '', 'folder of the TFDS data sets')


def seconds_of(arguments: list[str], environment: dict[str, str], timeout: float | None) -> float:
    """Returns the seconds of a whole process of main.py; raises as `child_process.run`."""
    start = time.perf_counter()
    child_process.run([sys.executable, 'main.py', *arguments], environment, timeout)
    return time.perf_counter() - start


def last_arrays(run: pathlib.Path) -> dict[str, np.ndarray]:
    """Returns the arrays of a run's last checkpoint, by name."""
    with contextlib.closing(Checkpoints(run / 'checkpoints', read_only=True)) as checkpoints:
        state, _ = checkpoints.restore_newest(None)
    return {name: np.asarray(leaf) for name, leaf in leaves_by_name(state).items()}


def num_different(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> int:
    """Returns the number of arrays that differ in any bit, or that only one of both has."""
    same = lambda x, y: x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()
    names = first.keys() | second.keys()
    return sum(
        not (name in first and name in second and same(first[name], second[name])) for name in names
    )


def values_of(run: pathlib.Path) -> dict[str, float]:
    """Returns the means of a run's evaluation, by metric."""
    values = files.read_json(run / 'evaluation.json')['values']
    return {name: value['mean'] for name, value in values.items()}


def main(more):
    """Trains, compares and prints."""
    result, arguments = outcome.Outcome.of_flags('whole_run'), more[1:]
    where = flags.FLAGS.data_dir
    arguments += [f'--config.data.data_dir={where}'] if where else []
    with tempfile.TemporaryDirectory() as root:
        try:
            measure(result, pathlib.Path(root), arguments)
        except TimeoutError as error:
            print(f'time was up: {error}')
    result.print_heading(flags.FLAGS.config)
    result.write()


def measure(result: outcome.Outcome, root: pathlib.Path, arguments: list[str]) -> None:
    """Adds what was measured to `result` in folders below `root`; raises as `seconds_of`."""
    environment = {'JAX_COMPILATION_CACHE_DIR': str(root / 'cache')}
    runs = [root / str(index) for index in range(len(ARMS))]
    for name, run in zip(ARMS, runs, strict=True):
        command = [f'--config={flags.FLAGS.config}', *arguments, f'--workdir={run}']
        seconds = seconds_of(command, environment, result.timeout())
        result.add_arm(name, [seconds], 'seconds')
        print(f'{name}: {seconds:.1f} s from start to end', flush=True)
    ours = values_of(runs[0])
    (runs[0] / 'evaluation.json').unlink()  # so that it is made anew
    on_cpu = {**environment, 'JAX_PLATFORMS': 'cpu'}
    seconds_of(['--mode=evaluate', f'--workdir={runs[0]}'], on_cpu, result.timeout())
    for name, value in values_of(runs[0]).items():
        apart = abs(ours[name] - value)
        result.add_arm(f'evaluation on the CPU: {name}', [apart], 'difference')
        print(f'{name}: {ours[name]:.5g} here, {value:.5g} on the CPU, {apart:.1g} apart')
    with jax.default_device(jax.devices('cpu')[0]):
        count = num_different(*map(last_arrays, runs))
    result.add_arm('trained twice', [count], 'different arrays')
    print(f'trained twice: {count} arrays differ')


if __name__ == '__main__':
    outcome.run(main)
