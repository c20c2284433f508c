"""Kills training on one number of devices and continues it on another.

    python -m benchmarks.device_changes --page=docs/reliability.md

A try trains a small VAE on some simulated devices, kills it at a random change of a file or a
moment later, and runs the same command on another number of devices. All its metrics must agree
with those of an undisturbed run on one device, to float32's rounding in sums of another order.
Otherwise the exit status is 1. With --page, the counts become rows of the table of that page.
"""

import itertools
import json
import os
import pathlib
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

from absl import app, flags

from benchmarks import fault_injection, page_rows
from benchmarks.fault_injection import Fault, ProcessResult
from benchmarks.small_training import MOMENT, PATIENCE, TRAIN, VAE

flags.DEFINE_integer('pairs', 12, 'pairs of different numbers of devices, in random order')
flags.DEFINE_integer('tries_per_pair', 4, 'kills of each pair')
flags.DEFINE_integer('device_seed', 0, 'seed of the pairs and of the moments of the kills')

COUNTS = (1, 2, 4, 8)
TOLERANCE = 1e-4  # relative, or absolute for values below 1
DEVICES = '--xla_force_host_platform_device_count'


class Result(NamedTuple):
    """What was wrong after a try ('': nothing), and the largest difference of a metric."""

    problem: str
    difference: float


def trained(folder: pathlib.Path, devices: int, fault: Fault | None) -> ProcessResult:
    """Trains in `folder`/run on simulated devices, in a fork; JAX begins in the fork."""
    flags_before = os.environ.get('XLA_FLAGS', '')
    os.environ['XLA_FLAGS'] = f'{flags_before} {DEVICES}={devices}'
    try:
        arguments = (VAE, f'--workdir={folder}/run', *TRAIN)
        return fault_injection.run(arguments, [folder, folder / 'run'], fault, PATIENCE)
    finally:
        os.environ['XLA_FLAGS'] = flags_before


def metrics(folder: pathlib.Path) -> dict[tuple[int, str], float]:
    """Returns {(step, name): value} of the metrics log, without times."""
    rows = [json.loads(line) for line in (folder / 'run/metrics.jsonl').read_text().splitlines()]
    return {
        (row['step'], name): value
        for row in rows
        for name, value in row.items()
        if name != 'step' and not name.startswith('time/')
    }


def disagreement(found: dict, expected: dict) -> float:
    """Returns the largest relative difference of two logs; infinite if they have other entries."""
    if found.keys() != expected.keys():
        return float('inf')
    return max(
        abs(found[key] - value) / max(abs(value), 1.0)
        for key, value in expected.items()
        if value is not None
    )


def attempt(folder: pathlib.Path, first: int, second: int, fault: Fault, expected: dict) -> Result:
    """Kills training on `first` devices and continues it on `second`."""
    shutil.rmtree(folder / 'run', ignore_errors=True)
    trained(folder, first, fault)
    again = trained(folder, second, None)
    if again.status or 'Traceback' in again.output:
        return Result(again.output.strip()[-300:], float('inf'))
    difference = disagreement(metrics(folder), expected)
    is_equal = difference <= TOLERANCE
    return Result('' if is_equal else f'metrics differ by {difference:.1e}', difference)


def faults(changes: int, rng: random.Random) -> Iterator[Fault]:
    """Yields kills at random changes, every second one a moment later."""
    for i in itertools.count():
        yield Fault(rng.randint(1, changes), rng.uniform(0, MOMENT) if i % 2 else 0.0)


def row(results: list[Result]) -> list[str]:
    """Returns the cells of a pair: good tries, the largest difference, the command."""
    good = sum(not result.problem for result in results)
    largest = max(result.difference for result in results)
    command = f'`python -m benchmarks.device_changes --tries_per_pair={len(results)}`'
    return [f'{good} of {len(results)}', f'{largest:.1e}', command]


def main(_) -> None:
    """Prints a line per pair; exits with status 1 if a try ended differently."""
    rng = random.Random(flags.FLAGS.device_seed)
    pairs = list(itertools.permutations(COUNTS, 2))
    rng.shuffle(pairs)
    bad, rows = 0, {}
    with tempfile.TemporaryDirectory(prefix='devices-') as name:
        folder = pathlib.Path(name).resolve()
        changes, expected = trained(folder, 1, None).changes, metrics(folder)
        kills = faults(changes, rng)
        for first, second in sorted(pairs[: flags.FLAGS.pairs]):
            results = [
                attempt(folder, first, second, fault, expected)
                for fault in itertools.islice(kills, flags.FLAGS.tries_per_pair)
            ]
            bad += sum(bool(result.problem) for result in results)
            rows[f'{first} to {second}'] = row(results)
            print(f'{first} to {second} devices: {", ".join(row(results)[:2])}', flush=True)
            for result in results:
                if result.problem:
                    print(f'    {result.problem}')
    page_rows.write_rows('device changes', rows)
    print(f'{bad} of {len(rows) * flags.FLAGS.tries_per_pair} tries ended differently')
    sys.exit(bool(bad))


if __name__ == '__main__':
    app.run(main)
