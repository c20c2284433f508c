"""One process at a time measures in a folder of runs."""

import fcntl
import os
import pathlib
import time

from atelier.errors import UserError

PAUSE = 0.2  # seconds between two attempts
PATIENCE = 60.0  # seconds to wait for the children of an earlier, killed start


class Lock:
    """Locks the folder of runs for this process and its children."""

    def __init__(self, runs: pathlib.Path):
        """Takes the path of the folder."""
        runs.mkdir(parents=True, exist_ok=True)
        self._path = runs / 'lock'
        self.descriptor = -1

    def __enter__(self) -> 'Lock':
        """Waits for the children of an earlier start.

        Raises:
          UserError: another process uses the folder.
        """
        self.descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        end = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return self
            except BlockingIOError:
                if time.monotonic() > end:
                    os.close(self.descriptor)
                    raise UserError(
                        f'another process measures in {self._path.parent}: wait for its end, or '
                        'choose another --folder'
                    ) from None
            time.sleep(PAUSE)

    def __exit__(self, *_):
        """Releases the folder once the last child has ended."""
        os.close(self.descriptor)
