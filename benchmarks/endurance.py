"""Measures a very long run and a very large sweep: memory, speed and sizes of files over time.

    python -m benchmarks.endurance --page=docs/reliability.md

trains a small classifier for 100,000 steps, with an evaluation every 10 steps, and then a sweep of
200 members. The exit status is 1 if memory grows, if the metrics log is not one line per entry, or
if a member is not finished or has a damaged file. --steps=0 or --members=0 leaves a part out.
When the time of --seconds is up, it stops the run or the sweep and prints what it has measured.
"""

import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from absl import flags

from atelier import checkout
from benchmarks import fault_injection, file_digests, outcome, page_rows

flags.DEFINE_integer('steps', 100_000, 'steps of the long run, a multiple of 100; 0: none')
flags.DEFINE_integer('members', 200, 'members of the sweep; 0: none')
flags.DEFINE_float('may_grow', 0.05, 'fraction by which memory may grow: noise of the allocator')
flags.DEFINE_float('measure_every', 1.0, 'seconds between two measurements of the long run')

GRACE = 30.0  # seconds from SIGTERM to SIGKILL, when the time is up
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


class Part(NamedTuple):
    """What came out of the run or of the sweep.

    text: what was measured.
    is_good: whether nothing of it is wrong.
    is_whole: whether the time was enough.
    """

    text: str
    is_good: bool
    is_whole: bool = True


def train(
    folder: pathlib.Path,
    steps: int,
    seconds: float,
    left: Callable[[], float] = lambda: math.inf,
) -> tuple[list[Sample], bool]:
    """Trains the long run in a process of its own and measures it every `seconds`.

    Returns:
      The measurements, and whether the run ended before the time was up.

    Raises:
      RuntimeError: the run failed.
    """
    began, samples, metrics = time.monotonic(), [], folder / 'metrics.jsonl'
    arguments = [CONFIG, f'--workdir={folder}', f'--config.train.steps={steps}']
    arguments += [f'--config.train.{name}={EVERY}' for name in ('evaluate_every', 'log_every')]
    arguments += ['--config.train.checkpoint_every=100', '--config.train.steps_per_dispatch=10']
    with tempfile.TemporaryFile('w+') as output:
        process = started(arguments, output)
        while process.poll() is None and left():
            time.sleep(min(seconds, left()))
            size = metrics.stat().st_size if metrics.exists() else 0
            resident = resident_bytes(process.pid)
            if resident and (step := last_step(metrics)):
                samples.append(Sample(time.monotonic() - began, step, resident, size))
        is_whole = has_ended(process, 0.0)
        output.seek(0)
        if is_whole and process.returncode:
            raise RuntimeError(output.read()[-2000:])
    return samples, is_whole


def has_ended(process: subprocess.Popen, seconds: float | None) -> bool:
    """Whether a process ends by itself within these seconds (None: it may take any time).

    If not, it is ended: it has `GRACE` seconds for a checkpoint.
    """
    for wait, stop in ((seconds, process.terminate), (GRACE, process.kill)):
        try:
            process.wait(wait)
            return stop == process.terminate
        except subprocess.TimeoutExpired:
            stop()
    process.wait()
    return False


def started(arguments: list[str], output) -> subprocess.Popen:
    """Starts `python main.py ARGUMENTS`."""
    command = [sys.executable, str(checkout.ROOT / 'main.py'), *arguments]
    return subprocess.Popen(command, cwd=checkout.ROOT, stdout=output, stderr=subprocess.STDOUT)


def judged(
    samples: list[Sample], metrics: pathlib.Path, steps: int, may_grow: float = 0.05
) -> tuple[str, bool]:
    """Returns a description of the long run, and whether nothing grew that should not."""
    text, growth = described(samples, metrics, steps)
    rows = [json.loads(line) for line in metrics.read_text().splitlines()]
    evaluations = sum(any(name.startswith('valid/') for name in row) for row in rows)
    is_whole = rows[-1]['step'] == steps and evaluations == steps // EVERY
    return text, is_whole and growth < may_grow


def described(samples: list[Sample], metrics: pathlib.Path, steps: int) -> tuple[str, float]:
    """Returns a description of a run up to `steps`, and the fraction by which its memory grew.

    The first tenth is the start: compilation, and caches that fill.
    """
    early = next(sample for sample in samples if sample.step >= steps / 10)
    late = samples[-1]
    memory = ', '.join(
        f'{each.resident / 1e6:,.0f} MB at step {each.step:,}' for each in (early, late)
    )
    num_lines = len(metrics.read_text().splitlines())
    text = (
        f'{late.seconds:,.0f} s, {1000 * late.seconds / late.step:.2f} ms a step; memory {memory}; '
        f'metrics.jsonl {early.log / 1e6:.2f} MB and {late.log / 1e6:.2f} MB, {num_lines:,} lines'
    )
    return text, late.resident / early.resident - 1


def long_run(folder: pathlib.Path, values: flags.FlagValues, result: outcome.Outcome) -> Part:
    """Trains and judges the long run."""
    samples, is_whole = train(folder, values.steps, values.measure_every, result.left)
    metrics = folder / 'metrics.jsonl'
    if not is_whole and not samples:
        return Part('time was up before its first step', True, False)
    if is_whole:
        return Part(*judged(samples, metrics, values.steps, values.may_grow))
    text, growth = described(samples, metrics, samples[-1].step)
    text = f'time was up at step {samples[-1].step:,}: {text}'
    return Part(text, growth < values.may_grow, False)


def sweep(folder: pathlib.Path, members: int, timeout: float | None = None) -> Part:
    """Trains a sweep; good if all members and files are whole.

    Raises:
      RuntimeError: the sweep failed.
    """
    began = time.monotonic()
    arguments = [CONFIG, '--mode=sweep', f'--sweep=seed=0:{members}', f'--workdir={folder}']
    with tempfile.TemporaryFile('w+') as output:
        process = started(arguments, output)
        is_whole = has_ended(process, timeout)
        if is_whole and process.returncode:
            output.seek(0)
            raise RuntimeError(output.read()[-2000:])
    seconds, table = time.monotonic() - began, folder / 'sweep.csv'
    rows = table.read_text().splitlines()[1:] if table.exists() else []
    finished = sum('finished' in row.split(',') for row in rows)
    text = f'{seconds:,.0f} s; {finished} of {members} members finished'
    if not is_whole:
        return Part(f'time was up: {text}', True, False)
    read = fault_injection.forked_value(lambda: file_digests.of_folder(folder), PATIENCE)
    damaged = [name for name, digest in read.items() if digest.startswith(file_digests.UNREADABLE)]
    checkpoints = [name for name in read if name.rpartition('/')[0].endswith('/checkpoints')]
    num_files = len(read) - len(checkpoints)
    text += f'; {num_files:,} files and {len(checkpoints):,} checkpoints read, '
    text += f'{len(damaged)} of them damaged'
    return Part(text, finished == members and not damaged and len(checkpoints) >= members)


def parts(
    folder: pathlib.Path, values: flags.FlagValues, result: outcome.Outcome
) -> Iterator[tuple[str, str, Part]]:
    """Yields the name, the flags and the outcome of each part, while there is time."""
    if values.steps and result.left():
        name = f'{values.steps:,} steps, an evaluation every {EVERY}'
        yield name, f'--steps={values.steps} --members=0', long_run(folder / 'run', values, result)
    if values.members and result.left():
        part = sweep(folder / 'sweep', values.members, result.timeout())
        yield f'a sweep of {values.members} members', f'--steps=0 --members={values.members}', part


def main(_) -> None:
    """Prints a line for the run and for the sweep; exits with status 1 if one of them is wrong."""
    result, rows, good = outcome.Outcome.of_flags('endurance'), {}, []
    with tempfile.TemporaryDirectory(prefix='endurance-') as folder:
        for name, more, part in parts(pathlib.Path(folder), flags.FLAGS, result):
            print(f'{name}: {part.text}' + ('' if part.is_good else '   WRONG'), flush=True)
            good.append(part.is_good)
            result.add_arm(name, [part.is_good] if part.is_whole else [], 'good')
            if part.is_whole:
                rows[name] = [part.text, f'`python -m benchmarks.endurance {more}`']
    if not result.left():
        print('time was up')
    result.write()
    page_rows.write_rows('endurance', rows)
    sys.exit(not all(good))


if __name__ == '__main__':
    outcome.run(main)
