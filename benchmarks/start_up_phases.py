"""main.py with a clock: the phases of its start, for `benchmarks.start_up`.

    python -m benchmarks.start_up_phases FILE BEGAN MAIN_ARGUMENTS

BEGAN is `time.time()` when the process was started. When the first dispatch has finished, the
seconds of each phase are written to FILE. Then the command goes on.
"""

import functools
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

from atelier import cli, files
from atelier.core import compilation
from atelier.run.restore import Start
from atelier.training.session import Member

PHASES = ('import', 'data and model', 'initial State', 'trace', 'compile', 'first dispatch')


class Clock:
    """The times at which phases ended; only the first end of each counts."""

    def __init__(self, began: float, path: pathlib.Path):
        """Takes `time.time()` of the start, and the file for the seconds of each phase."""
        self.path, self.seconds, self._last = path, {}, began

    def end(self, phase: str) -> None:
        """Ends a phase, which began where the last one ended; the final one writes the file."""
        if phase in self.seconds:
            return
        now = time.time()
        self.seconds[phase], self._last = now - self._last, now
        if phase == PHASES[-1]:
            files.write_json(self.path, self.seconds)

    def before(self, phase: str, owner: Any, name: str) -> None:
        """Ends `phase` when the function `owner.name` is called."""
        self._wrap(owner, name, lambda: self.end(phase), lambda: None)

    def after(self, phase: str, owner: Any, name: str) -> None:
        """Ends `phase` when the function `owner.name` returns."""
        self._wrap(owner, name, lambda: None, lambda: self.end(phase))

    def _wrap(self, owner: Any, name: str, first: Callable, last: Callable) -> None:
        function = getattr(owner, name)

        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            first()
            result = function(*args, **kwargs)
            last()
            return result

        setattr(owner, name, wrapped)


def main() -> None:
    """Performs the command line with a clock."""
    path, began, *arguments = sys.argv[1:]
    clock = Clock(float(began), pathlib.Path(path))
    clock.end('import')
    clock.before('data and model', Start, '__init__')
    clock.after('initial State', Start, '__call__')
    clock.before('trace', compilation, 'compiled')
    clock.after('compile', compilation, 'compiled')
    clock.before('first dispatch', Member, 'write')
    sys.argv = ['main.py', *arguments]
    cli.console()


if __name__ == '__main__':
    main()
