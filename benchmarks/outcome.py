"""What a benchmark measured, within a time limit, as lines on the screen and as a JSON file.

Every benchmark has two flags. `--seconds=N`: when the time is up, it prints what it has.
`--json=FILE`: the file is rewritten whole after every group of arms,

    {"benchmark": ..., "machine": {...}, "arms": {NAME: {UNIT: {"median", "low", "high", "repeats"},
     "losses": [...]} or {"refused": REASON}},
     "ratios": {NAME: {"value", "low", "high"} or {"refused": REASON}}, "seconds_used": ...}

where UNIT is mostly "milliseconds", and "losses" has a mean for each repeat, warm-up included.
"""

import functools
import math
import pathlib
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
from absl import app, flags

import benchmarks
from atelier import files
from atelier.errors import UserError
from atelier.log import one_line
from benchmarks import machine
from benchmarks.timing import median_and_range


def run(main: Callable) -> None:
    """Runs `main(arguments)` with the flags of every benchmark; the program of each of them.

    A mistake of the user ends it with one line.
    """
    flags.DEFINE_float('seconds', 0.0, 'when this time is up, prints what there is; 0: no limit')
    flags.DEFINE_string('json', '', 'file that gets the numbers')
    app.run(functools.partial(_in_one_line, main))


def _in_one_line(main: Callable, arguments: list[str]) -> None:
    try:
        main(arguments)
    except UserError as error:
        sys.exit(f'error: {one_line(str(error))}')


class Outcome:
    """The numbers of one benchmark, and the time that is left for it."""

    def __init__(self, benchmark: str, seconds: float = 0.0, path: str = ''):
        """Starts the clock.

        Args:
          benchmark: its name.
          seconds: time limit; 0: none.
          path: JSON file; '': none.
        """
        self.began, self.seconds, self.path = time.monotonic(), seconds or math.inf, path
        self.benchmark, self.arms, self.ratios = benchmark, {}, {}

    @classmethod
    def of_flags(cls, benchmark: str) -> 'Outcome':
        """Returns that of a program that `run` started: what it imported counts as time."""
        outcome = cls(benchmark, flags.FLAGS.seconds, flags.FLAGS.json)
        outcome.began = benchmarks.BEGAN
        return outcome

    def left(self, share: float = 1.0) -> float:
        """Returns a share of the seconds that are left, at least 0; infinity without a limit."""
        return max(0.0, self.seconds - self.used()) * share

    def timeout(self) -> float | None:
        """Returns the seconds that are left as `subprocess` takes them: None without a limit."""
        left = self.left()
        return None if left == math.inf else left

    def used(self) -> float:
        """Returns the seconds since the start."""
        return time.monotonic() - self.began

    def add_arm(
        self,
        name: str,
        values: Sequence[float],
        unit: str = 'milliseconds',
        losses: Sequence = (),
        failure: str = '',
    ) -> None:
        """Adds the values of an arm's repeats, and its mean losses if it trains.

        `failure` is the reason why there are no values.
        """
        arm = self.arms.setdefault(name, {})
        if len(values):
            arm[unit] = {**_spread(values), 'repeats': len(values)}
        else:
            arm['refused'] = failure or 'time was up'
        if len(losses):
            arm['losses'] = [float(np.mean(loss)) for loss in losses]

    def add_ratio(self, name: str, values: Sequence[float], refused: str = '') -> None:
        """Adds the ratio of every repeat, or the reason why there is none."""
        if refused or not len(values):
            self.ratios[name] = {'refused': refused or 'time was up'}
        else:
            spread = _spread(values)
            self.ratios[name] = {'value': spread.pop('median'), **spread}

    def write(self) -> None:
        """Writes the JSON file, if there is one, as it is now."""
        if self.path:
            files.write_json(pathlib.Path(self.path), self.as_json())

    def as_json(self) -> dict:
        """Returns the content of the file."""
        return {
            'benchmark': self.benchmark,
            'machine': machine.described(),
            'arms': self.arms,
            'ratios': self.ratios,
            'seconds_used': round(self.used(), 1),
        }

    def print_heading(self, *texts: str) -> None:
        """Prints the machine and what else the numbers need."""
        where = machine.described()
        print(f'JAX {where["jax"]}, {where["device"]}, {where["processor"]}', *texts, sep='; ')
        sys.stdout.flush()


def _spread(values: Sequence[float]) -> dict[str, float]:
    return dict(zip(('median', 'low', 'high'), median_and_range(values), strict=True))
