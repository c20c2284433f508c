"""Runs a command in a fork that is killed, or whose disk is full, at the n-th change of a file.

Python reports an audit event before it opens a file for writing, renames, removes or makes one. The
fork counts those events whose file is below given folders. JAX is imported before the fork and used
only in it.
"""

import contextlib
import json
import os
import pathlib
import resource
import selectors
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

from atelier import cli

CHANGES = {
    *('os.rename', 'os.remove', 'os.mkdir', 'os.rmdir', 'os.truncate', 'os.link', 'os.symlink'),
    *('os.chmod', 'os.utime', 'shutil.rmtree', 'shutil.move', 'tempfile.mkdtemp'),
    'tempfile.mkstemp',
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
FULL = 2048  # bytes that a file may have once the disk is full


class Fault(NamedTuple):
    """What happens at the n-th change: a kill, `delay` seconds later, or a full disk."""

    n: int
    delay: float = 0.0
    is_disk_full: bool = False


class ProcessResult(NamedTuple):
    """How a fork ended: exit status (negative for a signal), output, number of file changes."""

    status: int
    output: str
    changes: int


def run(
    arguments: Sequence[str], watched: Sequence[pathlib.Path], fault: Fault | None, seconds: float
) -> ProcessResult:
    """Runs `python main.py ARGUMENTS` in a fork; kills it after `seconds` (status -9)."""
    count_file = watched[0] / '.changes'

    def work() -> None:
        sys.argv = ['main.py', *arguments]
        _install([str(folder) for folder in watched[1:]], fault, count_file)
        cli.console()

    status, output = forked(work, seconds)
    changes = len(count_file.read_bytes()) if count_file.exists() else 0
    count_file.unlink(missing_ok=True)
    return ProcessResult(status, output, changes)


def forked(work: Callable[[], None], seconds: float) -> tuple[int, str]:
    """Calls `work` in a fork; returns its exit status and all that it printed."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # JAX warns of forks, but has no threads yet
        process = os.fork()
    if process == 0:
        os.close(reader)
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        status = 1
        try:
            work()
            status = 0
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 1
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)
    os.close(writer)
    output = _read_all(reader, process, seconds)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), output


def _read_all(reader: int, process: int, seconds: float) -> str:
    """Reads until the fork has ended; kills it after `seconds`."""
    end, parts = time.monotonic() + seconds, []
    with open(reader, 'rb', buffering=0) as pipe, selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.0, end - time.monotonic())):
                os.kill(process, signal.SIGKILL)
                parts.append(b'\nIT HANGS\n')
                break
            part = pipe.read(65536)
            if not part:
                break
            parts.append(part)
    return b''.join(parts).decode(errors='replace')


def _install(folders: list[str], fault: Fault | None, count_file: pathlib.Path) -> None:
    """Counts changes below the folders in the size of a file, and injects the fault at the n-th."""
    counter = os.open(count_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    state = {'changes': 0}

    def hook(event: str, args: tuple) -> None:
        if not _is_change(event, args, folders):
            return
        state['changes'] += 1
        os.write(counter, b'.')
        if fault is not None and state['changes'] == fault.n:
            _inject(fault)

    sys.addaudithook(hook)


def _inject(fault: Fault) -> None:
    if fault.is_disk_full:
        resource.setrlimit(resource.RLIMIT_FSIZE, (FULL, resource.RLIM_INFINITY))
    elif fault.delay:
        kill = lambda: os.kill(os.getpid(), signal.SIGKILL)
        threading.Timer(fault.delay, kill).start()
    else:
        os.kill(os.getpid(), signal.SIGKILL)


def _is_change(event: str, args: tuple, folders: list[str]) -> bool:
    """Whether an event changes a file below one of the folders."""
    if event == 'open':
        if not isinstance(args[2], int) or not args[2] & WRITING:
            return False
    elif event not in CHANGES:
        return False
    paths = (os.fsdecode(arg) for arg in args[:2] if isinstance(arg, str | bytes | os.PathLike))
    return any(os.path.abspath(path).startswith(folder) for path in paths for folder in folders)


def forked_value(function: Callable[[], object], seconds: float) -> object:
    """Calls `function`, which uses JAX, in a fork; returns its value, which has to be JSON.

    Raises:
      RuntimeError: it failed.
    """
    mark = '\nVALUE '

    def work() -> None:
        print(mark + json.dumps(function()), flush=True)

    status, output = forked(work, seconds)
    if status or mark not in output:
        raise RuntimeError(output)
    return json.loads(output.rpartition(mark)[2].splitlines()[0])
