"""Records what Python's audit events say about code and processes, for tests of untrusted files.

An audit hook cannot be removed, so it needs its own process.
"""

import collections
import contextlib
import os
import pathlib
import sys
from collections.abc import Iterator

PROCESSES = {
    *('subprocess.Popen', 'os.system', 'os.exec', 'os.posix_spawn', 'os.spawn', 'os.fork'),
    *('os.forkpty', 'pty.spawn', 'os.startfile'),
}
LIBRARIES = {'ctypes.dlopen', 'ctypes.dlsym', 'sys.setprofile', 'sys.settrace'}
# read all files as bytes: to search, to hash, or to tell their formats
READERS = {
    'atelier.run.checkpoint_index',
    'atelier.run.parent_copy',
    'atelier.data.content',
    'atelier.data.picture_files',
}
CODE = ('.py', '.pyc', '.pyo', '.so', '.pth', '.pkl', '.pickle')


class Auditor:
    """Records, once installed, the events that files in `folder` cause.

    code: events in which code of the folder is compiled, run, imported or read as code.
    pickles: names that a pickle looked up.
    others: how often a process was started or a library was loaded, by a description.
    """

    def __init__(self, folder: pathlib.Path):
        self._folder = str(folder.resolve())
        self._is_open = False
        self.reset()

    def install(self) -> None:
        sys.addaudithook(self._hook)
        self._is_open = True

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Records nothing while the test itself makes the files."""
        self._is_open = False
        yield
        self._is_open = True

    def reset(self) -> None:
        self.code: list[str] = []
        self.pickles: set[str] = set()
        self.others: collections.Counter = collections.Counter()

    def _hook(self, event: str, args: tuple) -> None:
        if not self._is_open:
            return
        if event == 'exec':
            self._check(event, getattr(args[0], 'co_filename', ''))
        elif event == 'compile' or event == 'import':
            self._check(event, args[1])
        elif event == 'open':
            if isinstance(args[0], str) and args[0].endswith(CODE) and not _reads_bytes():
                self._check(event, args[0])
        elif event == 'pickle.find_class':
            self.pickles.add(f'{args[0]}.{args[1]}')
        elif event in PROCESSES:
            self.others[f'{event} {_program(args)}'] += 1
        elif event in LIBRARIES:
            self.others[f'{event} {args[0]}'] += 1

    def _check(self, event: str, file: object) -> None:
        name = os.fsdecode(file) if isinstance(file, str | bytes) else ''
        if name[:1] in ('', '<'):  # nothing, or code of no file
            return
        if os.path.realpath(name).startswith(self._folder + os.sep):
            self.code.append(f'{event} {name}')


def _reads_bytes() -> bool:
    """Whether one of `READERS` opens the file."""
    frame = sys._getframe(2)
    while frame is not None and frame.f_globals.get('__name__') not in READERS:
        frame = frame.f_back
    return frame is not None


def _program(args: tuple) -> str:
    """The program that is started, without its arguments."""
    first = args[0] if args else ''
    return os.path.basename(os.fsdecode(first)) if isinstance(first, str | bytes) else str(first)
