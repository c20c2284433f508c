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
from absl import app, flags

from atelier import checkout
from benchmarks.timing import spread

flags.DEFINE_string('config', 'configs/vae.py', 'config file')
flags.DEFINE_integer('repeats', 5, 'repeats of each arm')


def seconds_to_first_dispatch(config: str, cache: str) -> float:
    """Starts a run in its own folder, kills it after its first metrics; returns the seconds."""
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
        while not (metrics_file.exists() and metrics_file.stat().st_size):
            if process.poll() is not None:
                raise RuntimeError('main.py ended before its first dispatch')
            time.sleep(0.01)
        seconds = time.perf_counter() - start
        process.kill()
        process.wait()
    return seconds


def main(_):
    """Measures both arms in turn, and prints them."""
    cold, warm = [], []
    for _ in range(flags.FLAGS.repeats):
        with tempfile.TemporaryDirectory() as cache:
            cold.append(seconds_to_first_dispatch(flags.FLAGS.config, cache))
            warm.append(seconds_to_first_dispatch(flags.FLAGS.config, cache))
    print(f'{flags.FLAGS.config}: seconds to the first finished dispatch, median (range)')
    print(f'  cold compilation cache  {spread(np.asarray(cold))}')
    print(f'  warm compilation cache  {spread(np.asarray(warm))}')


if __name__ == '__main__':
    app.run(main)
