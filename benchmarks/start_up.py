"""Seconds from the command to the first finished dispatch, with a cold and a warm cache.

    python -m benchmarks.start_up

Runs real processes of main.py; the first dispatch has finished when its line is in metrics.jsonl.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from absl import flags

from atelier import checkout
from benchmarks import outcome
from benchmarks.timing import spread

flags.DEFINE_string('config', 'configs/vae.py', 'config file')
flags.DEFINE_integer('repeats', 5, 'repeats of each arm')


def seconds_to_first_dispatch(config: str, cache: str, limit: float) -> float:
    """Starts a run in its own folder, kills it after its first metrics; returns the seconds.

    Raises:
      TimeoutError: there are none after `limit` seconds.
      RuntimeError: the run ended before.
    """
    with tempfile.TemporaryDirectory() as folder:
        workdir = pathlib.Path(folder) / 'run'
        command = [sys.executable, 'main.py', f'--config={config}', f'--workdir={workdir}']
        environment = {**os.environ, 'JAX_COMPILATION_CACHE_DIR': cache}
        start = time.perf_counter()
        process = subprocess.Popen(
            [*command, '--config.train.log_every=1'],
            cwd=checkout.ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        metrics_file = workdir / 'metrics.jsonl'
        try:
            while not (metrics_file.exists() and metrics_file.stat().st_size):
                if process.poll() is not None:
                    raise RuntimeError('main.py ended before its first dispatch')
                if time.perf_counter() - start > limit:
                    raise TimeoutError(f'no first dispatch within {limit:.0f} s')
                time.sleep(0.01)
            return time.perf_counter() - start
        finally:
            process.kill()
            process.wait()


def main(_):
    """Measures both arms in turn, and prints them."""
    result = outcome.Outcome.of_flags('start_up')
    seconds = {'cold compilation cache': [], 'warm compilation cache': []}
    try:
        for _ in range(flags.FLAGS.repeats):
            with tempfile.TemporaryDirectory() as cache:
                for times in seconds.values():
                    times.append(
                        seconds_to_first_dispatch(flags.FLAGS.config, cache, result.left())
                    )
    except TimeoutError as error:
        print(error)
    result.print_heading()  # starts JAX, so only after the processes that are measured
    print(f'{flags.FLAGS.config}: seconds to the first finished dispatch, median (range)')
    for name, times in seconds.items():
        result.add_arm(name, 1e3 * np.asarray(times))
        print(f'  {name}  {spread(np.asarray(times)) if times else "time was up"}')
    result.write()


if __name__ == '__main__':
    outcome.run(main)
