"""Kills training on one number of devices and continues it on another.

    python -m benchmarks.device_changes --page=docs/reliability.md

A try trains a small VAE on some simulated devices, kills it at a random change of a file or a
moment later, and runs the same command on another number of devices. All its metrics must agree
with those of an undisturbed run on one device, to float32's rounding in sums of another order.
Otherwise the exit status is 1. With --page, the counts of all pairs whose tries were made become
rows of the table of that page. No try begins after --seconds.
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

from absl import flags

from benchmarks import fault_injection, outcome, page_rows
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


def chosen_pairs(rng: random.Random) -> list[tuple[int, int]]:
    """Returns as many pairs of numbers of devices as --pairs asks for."""
    pairs = list(itertools.permutations(COUNTS, 2))
    rng.shuffle(pairs)
    return sorted(pairs[: flags.FLAGS.pairs])


def attempts(
    folder: pathlib.Path, result: outcome.Outcome
) -> Iterator[tuple[tuple[int, int], list[Result]]]:
    """Yields each pair with its tries, until the time is up; a pair of which none was made not."""
    rng = random.Random(flags.FLAGS.device_seed)
    pairs = chosen_pairs(rng)
    if not result.left():
        return
    changes, expected = trained(folder, 1, None).changes, metrics(folder)
    kills = faults(changes, rng)
    for pair in pairs:
        results = []
        for fault in itertools.islice(kills, flags.FLAGS.tries_per_pair):
            if not result.left():
                break
            results.append(attempt(folder, *pair, fault, expected))
        if results:
            yield pair, results


def main(_) -> None:
    """Prints a line per pair; exits with status 1 if a try ended differently."""
    bad, total, rows = 0, 0, {}
    result = outcome.Outcome.of_flags('device_changes')
    with tempfile.TemporaryDirectory(prefix='devices-') as name:
        for (first, second), results in attempts(pathlib.Path(name).resolve(), result):
            problems = [each.problem for each in results if each.problem]
            bad, total = bad + len(problems), total + len(results)
            if len(results) == flags.FLAGS.tries_per_pair:
                rows[f'{first} to {second}'] = row(results)
            result.add_arm(f'{first} to {second}', [len(results)], 'tries')
            result.add_arm(f'{first} to {second}', [len(problems)], 'tries that ended differently')
            print(f'{first} to {second} devices: {", ".join(row(results)[:2])}', flush=True)
            print(*(f'    {problem}\n' for problem in problems), sep='', end='')
    if not result.left():
        print('time was up')
    result.write()
    page_rows.write_rows('device changes', rows)
    print(f'{bad} of {total} tries ended differently')
    sys.exit(bool(bad))


if __name__ == '__main__':
    outcome.run(main)
