"""Measures a very long run and a very large sweep: memory, speed and sizes of files over time.

    python -m benchmarks.endurance --page=docs/reliability.md

trains a small classifier for 100,000 steps, with an evaluation every 10 steps, and then a sweep of
200 members. The exit status is 1 if memory grows, if the metrics log is not one line per entry, or
if a member is not finished or has a damaged file. --steps=0 or --members=0 leaves a part out.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

from absl import app, flags

from atelier import checkout
from benchmarks import fault_injection, file_digests, page_rows

flags.DEFINE_integer('steps', 100_000, 'steps of the long run, a multiple of 100; 0: none')
flags.DEFINE_integer('members', 200, 'members of the sweep; 0: none')
flags.DEFINE_float('may_grow', 0.05, 'fraction by which memory may grow: noise of the allocator')
flags.DEFINE_float('measure_every', 1.0, 'seconds between two measurements of the long run')

CONFIG = '--config=configs/classifier.py:digits,debug'
EVERY = 10  # steps between evaluations
PATIENCE = 3600.0  # seconds that reading all files may take


class Sample(NamedTuple):
    """A measurement of a process that trains.

    seconds: since its start.
    step: the last step in its metrics log.
    resident: bytes of its memory.
    log: bytes of its metrics log.
    """

    seconds: float
    step: int
    resident: int
    log: int


def resident_bytes(process_id: int) -> int:
    """Returns the resident memory of a process; 0 if it has ended."""
    try:
        pages = pathlib.Path(f'/proc/{process_id}/statm').read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf('SC_PAGE_SIZE')


def last_step(metrics: pathlib.Path) -> int:
    """Returns the step of the last whole line of a metrics log; 0 if there is none."""
    try:
        with metrics.open('rb') as file:
            file.seek(max(0, metrics.stat().st_size - 4096))
            lines = file.read().split(b'\n')[:-1]
        return int(json.loads(lines[-1])['step'])
    except (OSError, IndexError, ValueError):
        return 0


def train(folder: pathlib.Path, steps: int, seconds: float) -> list[Sample]:
    """Trains the long run in a process of its own and measures it.

    Raises:
      RuntimeError: the run failed.
    """
    began, samples, metrics = time.monotonic(), [], folder / 'metrics.jsonl'
    arguments = [CONFIG, f'--workdir={folder}', f'--config.train.steps={steps}']
    arguments += [f'--config.train.{name}={EVERY}' for name in ('evaluate_every', 'log_every')]
    arguments += ['--config.train.checkpoint_every=100', '--config.train.steps_per_dispatch=10']
    with tempfile.TemporaryFile('w+') as output:
        process = started(arguments, output)
        while process.poll() is None:
            time.sleep(seconds)
            size = metrics.stat().st_size if metrics.exists() else 0
            resident = resident_bytes(process.pid)
            if resident and (step := last_step(metrics)):
                samples.append(Sample(time.monotonic() - began, step, resident, size))
        output.seek(0)
        if process.returncode:
            raise RuntimeError(output.read()[-2000:])
    return samples


def started(arguments: list[str], output) -> subprocess.Popen:
    """Starts `python main.py ARGUMENTS`."""
    command = [sys.executable, str(checkout.ROOT / 'main.py'), *arguments]
    return subprocess.Popen(command, cwd=checkout.ROOT, stdout=output, stderr=subprocess.STDOUT)


def judged(
    samples: list[Sample], metrics: pathlib.Path, steps: int, may_grow: float = 0.05
) -> tuple[str, bool]:
    """Returns a description of the long run, and whether nothing grew that should not.

    The first tenth is the start: compilation, and caches that fill.
    """
    early = next(sample for sample in samples if sample.step >= steps / 10)
    late = samples[-1]
    rows = [json.loads(line) for line in metrics.read_text().splitlines()]
    evaluations = sum(any(name.startswith('valid/') for name in row) for row in rows)
    growth = late.resident / early.resident - 1
    memory = ', '.join(
        f'{each.resident / 1e6:,.0f} MB at step {each.step:,}' for each in (early, late)
    )
    text = (
        f'{late.seconds:,.0f} s, {1000 * late.seconds / late.step:.2f} ms a step; memory {memory}; '
        f'metrics.jsonl {early.log / 1e6:.2f} MB and {late.log / 1e6:.2f} MB, {len(rows):,} lines'
    )
    is_whole = rows[-1]['step'] == steps and evaluations == steps // EVERY
    return text, is_whole and growth < may_grow


def sweep(folder: pathlib.Path, members: int) -> tuple[str, bool]:
    """Trains a sweep; returns its description, and whether all members and files are whole.

    Raises:
      RuntimeError: the sweep failed.
    """
    began = time.monotonic()
    arguments = [CONFIG, '--mode=sweep', f'--sweep=seed=0:{members}', f'--workdir={folder}']
    with tempfile.TemporaryFile('w+') as output:
        process = started(arguments, output)
        if process.wait():
            output.seek(0)
            raise RuntimeError(output.read()[-2000:])
    seconds = time.monotonic() - began
    rows = (folder / 'sweep.csv').read_text().splitlines()[1:]
    finished = sum('finished' in row.split(',') for row in rows)
    read = fault_injection.forked_value(lambda: file_digests.of_folder(folder), PATIENCE)
    damaged = [name for name, digest in read.items() if digest.startswith(file_digests.UNREADABLE)]
    checkpoints = [name for name in read if name.rpartition('/')[0].endswith('/checkpoints')]
    num_files = len(read) - len(checkpoints)
    text = (
        f'{seconds:,.0f} s; {finished} of {members} members finished; {num_files:,} files and '
        f'{len(checkpoints):,} checkpoints read, {len(damaged)} of them damaged'
    )
    return text, finished == members and not damaged and len(checkpoints) >= members


def main(_) -> None:
    """Prints a line for the run and for the sweep; exits with status 1 if one of them is wrong."""
    values, rows, good = flags.FLAGS, {}, []
    with tempfile.TemporaryDirectory(prefix='endurance-') as temporary:
        folder = pathlib.Path(temporary)
        if values.steps:
            samples = train(folder / 'run', values.steps, values.measure_every)
            metrics = folder / 'run' / 'metrics.jsonl'
            text, is_good = judged(samples, metrics, values.steps, values.may_grow)
            rows[f'{values.steps:,} steps, an evaluation every {EVERY}'] = [
                text,
                f'`python -m benchmarks.endurance --steps={values.steps} --members=0`',
            ]
            good.append(is_good)
        if values.members:
            text, is_good = sweep(folder / 'sweep', values.members)
            rows[f'a sweep of {values.members} members'] = [
                text,
                f'`python -m benchmarks.endurance --steps=0 --members={values.members}`',
            ]
            good.append(is_good)
    for (name, (text, _)), is_good in zip(rows.items(), good, strict=True):
        print(f'{name}: {text}' + ('' if is_good else '   WRONG'))
    page_rows.write_rows('endurance', rows)
    sys.exit(not all(good))


if __name__ == '__main__':
    app.run(main)
