"""A process that a benchmark starts and waits for, no longer than there is time."""

import os
import subprocess
from collections.abc import Mapping, Sequence

from atelier import checkout

TAIL = 2000  # characters of an error
MAX_LINE = 300  # characters


def run(command: Sequence[str], environment: Mapping[str, str], timeout: float | None) -> str:
    """Runs a command in the folder of the checkout; returns what it prints.

    Args:
      command: its words.
      environment: variables that it has beside those of this process.
      timeout: seconds; None: no limit.

    Raises:
      TimeoutError: it takes longer, and was ended.
      RuntimeError: it failed; the message is the end of its standard error.
    """
    try:
        process = subprocess.run(
            command,
            cwd=checkout.ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f'not finished within {timeout:.0f} s') from error
    if process.returncode:
        raise RuntimeError(process.stderr.strip()[-TAIL:])
    return process.stdout


def last_line(printed: bytes) -> str:
    """Returns the last line of what a process printed, which mostly says why it failed."""
    lines = printed.decode(errors='replace').strip().splitlines()
    return lines[-1][:MAX_LINE] if lines else 'it printed nothing'
