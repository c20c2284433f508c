"""Kills commands at every change of a file, fills their disk, and checks that they continue.

    python -m benchmarks.kills --minutes=30

A try runs a command. At the n-th change of a file, the command is killed at once or a moment later,
or its disk becomes full. Then the same command runs undisturbed. It must end with the same files,
bit for bit, as an undisturbed command, and leave no temporary file. Otherwise the exit status is 1.
With --page=docs/reliability.md, the counts become rows of the table of that page. No try begins
after --seconds.
"""

import math
import os
import pathlib
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from absl import flags
from PIL import Image

from benchmarks import fault_injection, file_digests, outcome, page_rows
from benchmarks.fault_injection import Fault, ProcessResult
from benchmarks.small_training import MOMENT, PATIENCE, TRAIN, VAE

flags.DEFINE_float('minutes', 30.0, 'minutes for all commands; each has at least one try')
flags.DEFINE_string('commands', '', 'which commands, separated by commas; all by default')
flags.DEFINE_integer('tries', 0, 'tries of each command; 0: every change in all three ways')
flags.DEFINE_integer('kill_seed', 0, 'seed of the order of tries and of the delays')

WAYS = ('kill', 'moment', 'full disk')
SWEEP = (VAE, '--mode=sweep', '--sweep=seed=0,1', '--workdir=RUN')
FEW = (*TRAIN[:1], '--config.train.evaluate_every=20')


class Scenario(NamedTuple):
    """The arguments of a command, and those of the command that prepares its folder, if any."""

    arguments: tuple[str, ...]
    before: tuple[str, ...] | None = None


SCENARIOS = {
    'train': Scenario((VAE, '--workdir=RUN', *TRAIN)),
    # grown: a new sweep chooses its form by time, and the forms differ by rounding
    'sweep': Scenario((*SWEEP, *TRAIN), (*SWEEP, '--config.train.steps=10', *TRAIN[1:])),
    'evaluate': Scenario(('--mode=evaluate', '--workdir=RUN'), (VAE, '--workdir=RUN', *FEW)),
    'sample': Scenario(('--mode=sample', '--workdir=RUN'), (VAE, '--workdir=RUN', *FEW)),
    'anomaly': Scenario(('--mode=anomaly', '--workdir=RUN'), (VAE, '--workdir=RUN', *FEW)),
    'folder': Scenario(
        ('--config=configs/vae.py:folder,debug', '--config.data.path=DATA', '--workdir=RUN', *FEW)
    ),
}


class Result(NamedTuple):
    """One try: what was done to the command, and what was wrong afterwards."""

    way: str
    fault: Fault
    problems: list[str]


class Workspace:
    """The folders of the tries of one command; each try begins with a copy of `start`."""

    def __init__(self, folder: pathlib.Path, name: str, left: Callable[[], float]):
        """Runs the command undisturbed; no command takes longer than the seconds of `left`.

        Raises:
          RuntimeError: it failed, or the time was up.
        """
        self.scenario, self.name, self._left = SCENARIOS[name], name, left
        self._folder = folder / name
        self._work, self._start = self._folder / 'work', self._folder / 'start'
        for part in ('temporary', 'cache'):
            (self._start / part).mkdir(parents=True)
        write_pictures(folder / 'data')
        self._reset()
        if self.scenario.before:
            first = self._run(self.scenario.before, None)
            if first.status:
                raise RuntimeError(first.output)
            shutil.rmtree(self._start)
            shutil.copytree(self._work, self._start, symlinks=True)
            self._reset()
        undisturbed = self._run(self.scenario.arguments, None)
        if undisturbed.status:
            raise RuntimeError(undisturbed.output)
        self.changes, self._expected = undisturbed.changes, self._digests()

    def _reset(self) -> None:
        shutil.rmtree(self._work, ignore_errors=True)
        shutil.copytree(self._start, self._work, symlinks=True)

    def _run(self, arguments: tuple[str, ...], fault: Fault | None) -> ProcessResult:
        names = {'RUN': f'{self._work}/run', 'DATA': f'{self._folder.parent}/data'}
        for name, value in names.items():
            arguments = tuple(argument.replace(f'={name}', f'={value}') for argument in arguments)
        os.environ['XDG_CACHE_HOME'] = f'{self._work}/cache'
        os.environ['MPLCONFIGDIR'] = f'{self._folder}/matplotlib'  # its font list is not compared
        # given to Python too: it would look for a writable folder with a file of its own
        os.environ['TMPDIR'] = tempfile.tempdir = f'{self._work}/temporary'
        try:
            limit = min(PATIENCE, self._left())
            return fault_injection.run(arguments, [self._folder, self._work], fault, limit)
        finally:
            del os.environ['TMPDIR']
            tempfile.tempdir = None

    def _digests(self) -> dict[str, str]:
        return fault_injection.forked_value(lambda: file_digests.of_folder(self._work), PATIENCE)

    def attempt(self, way: str, fault: Fault) -> Result:
        """Disturbs the command, runs it again, compares its files with the expected ones."""
        self._reset()
        first = self._run(self.scenario.arguments, fault)
        problems = []
        if 'Traceback' in first.output or 'IT HANGS' in first.output:
            problems.append(f'disturbed: {first.output.strip().splitlines()[-1]}')
        again = self._run(self.scenario.arguments, None)
        if again.status or 'Traceback' in again.output:
            return Result(way, fault, [*problems, f'again: {again.output.strip()[-300:]}'])
        problems += file_digests.differences(self._digests(), self._expected)
        return Result(way, fault, problems)


def write_pictures(folder: pathlib.Path) -> None:
    """Writes a folder of pictures, which the program decodes into its cache."""
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    for i in range(90):  # enough for a batch after a tenth for each of validation and test
        Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(folder / f'{i:02d}.png')


def faults(changes: int, tries: int, rng: random.Random) -> list[tuple[str, Fault]]:
    """Returns (way, fault) of the tries, in random order: at each change in each of the ways."""
    found = [
        (way, Fault(n, rng.uniform(0, MOMENT) if way == 'moment' else 0.0, way == 'full disk'))
        for way in WAYS
        for n in range(1, changes + 1)
    ]
    rng.shuffle(found)
    return found[: tries or None]


def attempts(
    name: str,
    folder: pathlib.Path,
    tries: int,
    seed: int,
    end: float,
    left: Callable[[], float] = lambda: math.inf,
) -> tuple[int, list[Result]]:
    """Tries one command until the time is over; returns its number of changes and the results.

    It has at least one try before `end` (monotonic) counts. A try for which the seconds of `left`
    were not enough does not count.
    """
    results = []
    try:
        workspace = Workspace(folder, name, left)
    except RuntimeError:
        if left():
            raise
        return 0, []
    for way, fault in faults(workspace.changes, tries, random.Random(f'{seed} {name}')):
        if results and time.monotonic() > end:
            break
        result = workspace.attempt(way, fault)
        if not left():
            break
        results.append(result)
        for problem in results[-1].problems:
            print(f'    {name}, {way} at change {fault.n}: {problem}', flush=True)
    line = ''.join(f'   {way} {count}' for way, count in counts(results).items())
    print(f'{name:10} of {workspace.changes:3} changes{line}', flush=True)
    return workspace.changes, results


def counts(results: list[Result]) -> dict[str, str]:
    """Returns {way: 'GOOD of ALL'}."""
    found = {}
    for way in WAYS:
        of_way = [result for result in results if result.way == way]
        found[way] = f'{sum(not result.problems for result in of_way)} of {len(of_way)}'
    return found


def main(_) -> None:
    """Prints a line per command; exits with status 1 if a try ended differently."""
    names = [name for name in flags.FLAGS.commands.split(',') if name] or list(SCENARIOS)
    start, bad, total, rows = time.monotonic(), 0, 0, {}
    result = outcome.Outcome.of_flags('kills')
    with tempfile.TemporaryDirectory(prefix='kills-') as folder:
        for i, name in enumerate(names, 1):
            end = start + 60 * flags.FLAGS.minutes * i / len(names)
            seed, results = flags.FLAGS.kill_seed, []
            if result.left():
                settings = flags.FLAGS.tries, seed, end, result.left
                changes, results = attempts(name, pathlib.Path(folder), *settings)
            if not results:
                print(f'{name}: time was up')
                continue
            command = f'--commands={name} --tries={len(results)} --kill_seed={seed}'
            rows[name] = [str(changes), *counts(results).values()]
            rows[name].append(f'`python -m benchmarks.kills {command}`')
            wrong = sum(bool(each.problems) for each in results)
            result.add_arm(name, [len(results)], 'tries')
            result.add_arm(name, [wrong], 'tries that ended differently')
            bad, total = bad + wrong, total + len(results)
    result.write()
    page_rows.write_rows('kills', rows)
    print(f'{bad} of {total} tries ended differently')
    sys.exit(bool(bad))


if __name__ == '__main__':
    outcome.run(main)
