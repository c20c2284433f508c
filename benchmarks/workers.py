"""Arms that are processes of their own: each framework has its own allocator and device context.

JAX and PyTorch in one process share a device context, and JAX takes three quarters of the device's
memory in advance. Here an arm is a process (`benchmarks.worker`), without that, which waits idle
while another arm has its turn. All processes import at once. They make their arms one at a time,
unless `measure` is told otherwise.
"""

import contextlib
import json
import math
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from absl import flags

from atelier import checkout
from benchmarks import child_process, outcome
from benchmarks.timing import alternate_clocked

JAX = {'XLA_PYTHON_CLIENT_PREALLOCATE': 'false'}
TORCH = {'JAX_PLATFORMS': 'cpu'}  # if a module imports JAX, it leaves the accelerator alone


def run(main: Callable) -> None:
    """Runs the `main` of a comparison (`outcome.run`), which itself takes no memory in advance."""
    for name, value in JAX.items():
        os.environ.setdefault(name, value)
    flags.DEFINE_integer('at_once', 1, 'arms that are made side by side')
    outcome.run(main)


class Spec(NamedTuple):
    """An arm to start.

    function: 'MODULE:FUNCTION', which returns a `worker.Arm`; the module ends in `worker.main`.
    settings: its keyword arguments, as JSON.
    environment: variables of the process.
    """

    function: str
    settings: dict
    environment: Mapping[str, str] = JAX


class WorkerError(Exception):
    """The process of an arm ended; the message is the end of what it printed."""


class Worker:
    """The process of an arm."""

    def __init__(self, spec: Spec):
        """Starts it."""
        module, _, function = spec.function.partition(':')
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, '-m', module, function, json.dumps(spec.settings)],
            cwd=checkout.ROOT,
            env={**os.environ, **spec.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
        )
        self.received, self.is_ready = b'', False

    def call(self, seconds: float = math.inf) -> dict:
        """Orders a repeat; returns the answer: 'seconds', 'losses' (or None) and 'facts'.

        Raises:
          TimeoutError: no answer after these seconds; the process is ended.
          WorkerError: the process ended.
        """
        end = time.monotonic() + seconds
        if not self.is_ready:
            self._answer(end)
            self.is_ready = True
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(b'go\n')
            self.process.stdin.flush()
        return self._answer(end)

    def _answer(self, end: float) -> dict:
        while b'\n' not in self.received:
            left = max(0.0, end - time.monotonic())
            timeout = None if left == math.inf else left
            if not select.select([self.process.stdout], [], [], timeout)[0]:
                self.close()
                raise TimeoutError
            received = os.read(self.process.stdout.fileno(), 1 << 16)
            if not received:
                raise WorkerError(self._last_words())
            self.received += received
        line, _, self.received = self.received.partition(b'\n')
        return json.loads(line)

    def _last_words(self) -> str:
        self.process.wait()
        self.errors.seek(0)
        says = child_process.last_line(self.errors.read())
        return f'exit status {self.process.returncode}: {says}'

    def close(self) -> None:
        """Ends the process."""
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.errors.close()


class Measured(NamedTuple):
    """What an arm measured.

    seconds: of each repeat; empty if it had none.
    losses: of each call, warm-up included; empty if it returns none.
    first: seconds of the first call, which makes the arm; NaN if it did not finish.
    facts: of `worker.Arm`.
    failure: why it stopped, or ''.
    """

    seconds: np.ndarray
    losses: list[np.ndarray]
    first: float
    facts: dict
    failure: str


def measure(
    specs: Mapping[Hashable, Spec], repeats: int, seconds: float = math.inf, at_once: int = 1
) -> dict[Hashable, Measured]:
    """Returns what every arm measured in alternating repeats, after a call to warm up.

    An arm that fails, or does not finish its call within `seconds`, says so in its `failure`. If
    `at_once` is more than 1, so many arms are made at a time, in one more call that is not timed.
    It is meant for many arms on many processors: what compiles side by side also chooses its
    kernels side by side.
    """
    answers, failures = {name: [] for name in specs}, {}
    end = time.monotonic() + seconds

    def arm(name: Hashable):
        def call(left: float) -> float:
            if name in failures:
                raise TimeoutError
            try:
                answers[name].append(workers[name].call(left))
            except TimeoutError:
                failures[name] = f'not finished within {seconds:.0f} s'
                raise
            except WorkerError as error:
                failures[name] = str(error)
                raise TimeoutError from error
            return answers[name][-1]['seconds']

        return call

    def first_call(name: Hashable) -> None:
        with contextlib.suppress(TimeoutError):
            arm(name)(end - time.monotonic())

    with _started(specs) as workers:
        if at_once > 1:
            with ThreadPoolExecutor(at_once) as pool:
                list(pool.map(first_call, specs))
        times = alternate_clocked(
            {name: arm(name) for name in specs}, repeats, end - time.monotonic()
        )
    return {
        name: _measured(times.get(name, np.zeros(0)), answers[name], failures.get(name, ''))
        for name in specs
    }


@contextlib.contextmanager
def _started(specs: Mapping[Hashable, Spec]) -> Iterator[dict[Hashable, Worker]]:
    with contextlib.ExitStack() as stack:
        workers = {}
        for name, spec in specs.items():
            workers[name] = Worker(spec)
            stack.callback(workers[name].close)
        yield workers


def _measured(seconds: np.ndarray, answers: list[dict], failure: str) -> Measured:
    if not answers:
        return Measured(seconds, [], math.nan, {}, failure or 'time was up')
    losses = [np.asarray(each['losses']) for each in answers if each['losses'] is not None]
    if not len(seconds):
        failure = failure or 'time was up'
    return Measured(seconds, losses, answers[0]['seconds'], answers[0]['facts'], failure)
