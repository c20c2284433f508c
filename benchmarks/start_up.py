"""Seconds from the command to the first finished dispatch, with a cold and a warm cache.

    python -m benchmarks.start_up
    python -m benchmarks.start_up --config=configs/diffusion.py:mnist --data_dir=TFDS_FOLDER

Runs real processes of main.py (`benchmarks.start_up_phases`). In each repeat, the cold one begins
with an empty cache folder, for programs and for the autotuner's choices, and the warm one uses what
the cold one left there. Prints the phases of the start: importing, data and model, the initial
State (its compilation included), tracing the dispatch, compiling it or reading it from the cache,
and computing it. More flags `--config.X=Y` may follow after `--`.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from absl import flags

from atelier import checkout, files
from benchmarks import child_process, outcome
from benchmarks.start_up_phases import PHASES
from benchmarks.timing import spread

flags.DEFINE_string('config', 'configs/vae.py', 'config file')
flags.DEFINE_string('data_dir', '', 'folder of the TFDS data sets')
flags.DEFINE_integer('repeats', 5, 'repeats of each arm')


def phases_of(arguments: list[str], cache: str, limit: float) -> dict[str, float]:
    """Starts a run in its own folder, ends it after its first dispatch; returns seconds.

    They are those of each phase, by name.

    Raises:
      TimeoutError: there is no dispatch after `limit` seconds.
      RuntimeError: the run ended before; the message has the last line that it printed.
    """
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as errors:
        workdir, phases = pathlib.Path(folder) / 'run', pathlib.Path(folder) / 'phases.json'
        start = time.time()
        command = [sys.executable, '-m', 'benchmarks.start_up_phases', str(phases), str(start)]
        process = subprocess.Popen(
            [*command, *arguments, f'--workdir={workdir}'],
            cwd=checkout.ROOT,
            env={**os.environ, 'JAX_COMPILATION_CACHE_DIR': cache},
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        try:
            while not phases.exists():
                if process.poll() is not None:
                    errors.seek(0)
                    reason = child_process.last_line(errors.read())
                    raise RuntimeError(f'main.py ended before its first dispatch: {reason}')
                if time.time() - start > limit:
                    raise TimeoutError(f'no first dispatch within {limit:.0f} s')
                time.sleep(0.01)
            return files.read_json(phases)
        finally:
            process.kill()
            process.wait()


def main(more):
    """Measures both arms in turn, and prints them."""
    result, arguments = outcome.Outcome.of_flags('start_up'), more[1:]
    where = flags.FLAGS.data_dir
    arguments += [f'--config.data.data_dir={where}'] if where else []
    arguments = [f'--config={flags.FLAGS.config}', *arguments]
    measured = {'cold compilation cache': [], 'warm compilation cache': []}
    try:
        for _ in range(flags.FLAGS.repeats):
            with tempfile.TemporaryDirectory() as cache:
                for phases in measured.values():
                    phases.append(phases_of(arguments, cache, result.left()))
    except TimeoutError as error:
        print(error)
    result.print_heading()  # starts JAX, so only after the processes that are measured
    print(f'{flags.FLAGS.config}: seconds to the first finished dispatch, median (range)')
    for name, phases in measured.items():
        show(result, name, phases)
    result.write()


def show(result: outcome.Outcome, name: str, measured: list[dict[str, float]]) -> None:
    """Prints an arm and its phases, and adds them to `result`."""
    totals = np.asarray([sum(phases.values()) for phases in measured])
    result.add_arm(name, 1e3 * totals)
    print(f'  {name}  {spread(totals) if measured else "time was up"}')
    for phase in PHASES:
        seconds = np.asarray([phases[phase] for phases in measured])
        result.add_arm(f'{name}: {phase}', 1e3 * seconds)
        if measured:
            print(f'    {phase:16} {spread(seconds)}')


if __name__ == '__main__':
    outcome.run(main)
