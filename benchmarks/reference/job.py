"""One seed of a row at work: its commands as child processes, one after another."""

import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from atelier import checkout
from atelier.errors import UserError
from benchmarks import child_process
from benchmarks.reference import commands, progress
from benchmarks.reference.rows import Row

# Becomes the command given after the parent's id, to which Linux sends SIGTERM (15) when the parent
# dies, even by SIGKILL: PR_SET_PDEATHSIG (1) of prctl(2). Python runs such code itself only by a
# fork, which is not safe beside the threads of JAX.
WITH_THE_PARENT = """
import ctypes, os, sys
if sys.platform == 'linux':
    ctypes.CDLL(None).prctl(1, 15)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""
GRACE = 30.0  # seconds from SIGTERM to SIGKILL: a dispatch ends and a checkpoint is written


class Job:
    """Runs what is left of a seed. `poll` has to be called until it is no longer running."""

    def __init__(
        self,
        row: Row,
        seed: int,
        lines: list[list[str]],
        runs: pathlib.Path,
        machine: dict[str, Any],
        environment: Mapping[str, str],
        lock: int,
    ):
        """Starts the first command that has not ended yet.

        `lock` is the descriptor of the file that locks the folder of runs: children inherit it, so
        the folder stays locked until the last of them has ended.
        """
        self.row, self.seed, self.failure = row, seed, ''
        self._lines, self._runs, self._lock = lines, runs, lock
        self._environment = {**os.environ, **environment}
        self._progress = progress.load(row, seed, runs)
        self._progress = self._progress._replace(machine=machine, starts=self._progress.starts + 1)
        folder = commands.folder_of(row, seed, runs)
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder.with_suffix('.log')
        self._loads: list[float] = []
        self._process: subprocess.Popen | None = None
        self._stopped_at = 0.0
        self._began = time.monotonic()
        self._next()

    @property
    def is_running(self) -> bool:
        """Whether a command is running."""
        return self._process is not None

    def poll(self) -> None:
        """Notices that a command has ended, and starts the next one."""
        self._loads.append(os.getloadavg()[0])
        if self._process is None:
            return
        status = self._process.poll()
        if status is None:
            if self._stopped_at and time.monotonic() > self._stopped_at + GRACE:
                self._process.kill()
            return
        self._process = None
        ended = self._progress.ended + (status == 0)
        if self._stopped_at or status:
            self._save(ended)
            if status and not self._stopped_at:
                self.failure = f'its command ended with status {status}: {self._last_line()}'
        else:
            self._progress = self._progress._replace(ended=ended)
            self._next()

    def stop(self) -> None:
        """Asks the command to end; training answers with a checkpoint."""
        if self._process and not self._stopped_at:
            self._stopped_at = time.monotonic()
            self._process.terminate()

    def _next(self) -> None:
        if self._progress.ended < len(self._lines):
            self._save(self._progress.ended)
            with self.log.open('ab') as log:
                start = [sys.executable, '-ISc', WITH_THE_PARENT, str(os.getpid())]
                self._process = subprocess.Popen(
                    [*start, *self._lines[self._progress.ended]],
                    cwd=checkout.ROOT,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=[self._lock],
                )
            return
        try:
            self._progress = progress.with_values(self._progress, self.row, self.seed, self._runs)
        except UserError as error:
            self.failure = str(error)
        self._save(self._progress.ended)

    def _save(self, ended: int) -> None:
        """Writes the progress, with the seconds since the last time."""
        now = time.monotonic()
        seconds, self._began = self._progress.seconds + now - self._began, now
        mean = float(np.mean(self._loads)) if self._loads else os.getloadavg()[0]
        loads = (*self._progress.loads[: self._progress.starts - 1], mean)
        self._progress = self._progress._replace(ended=ended, seconds=seconds, loads=loads)
        progress.save(self._progress, self.row, self.seed, self._runs)

    def _last_line(self) -> str:
        return child_process.last_line(self.log.read_bytes()[-4000:])
