"""A thread that draws while training goes on, and the time that drawing may take."""

import collections
import threading
import time
import traceback
from collections.abc import Callable

from atelier.errors import UserError, first_line
from atelier.log import log

MOST_SECONDS = 1.5  # of a short training that drawing may take
MOST_SHARE = 0.02  # of a long one
FIRST_SECONDS = 1.0  # expected for the first drawing, which imports and compiles
LATER_SECONDS = 0.4  # expected for the others, before one is measured


class DrawingThread:
    """Draws one picture after the other, in a thread that ends when none is left.

    A `UserError`, such as that of a full disk, is raised by the next call of `check`. Any other
    error of a drawing is a warning: no picture is worth a training.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._waiting: collections.deque[tuple[Callable, threading.Event]] = collections.deque()
        self._is_running = False
        self._error: UserError | None = None
        self._warned: set[str] = set()

    def start(self, draw: Callable[[], None]) -> threading.Event:
        """Draws after the drawings that wait; returns an event that is set when it has ended."""
        ended = threading.Event()
        with self._lock:
            self._waiting.append((draw, ended))
            if not self._is_running:
                self._is_running = True
                # a daemon: a second Ctrl-C does not wait for pictures, whose files are whole anyway
                threading.Thread(target=self._run, name='drawing', daemon=True).start()
        return ended

    def check(self) -> None:
        """Raises the `UserError` of a drawing, once.

        Raises:
          UserError: a picture could not be written.
        """
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._is_running = False
                    return
                draw, ended = self._waiting.popleft()
            try:
                draw()
            except UserError as error:
                self._error = error
            except Exception as error:
                self._warn(error)
            finally:
                ended.set()

    def _warn(self, error: Exception) -> None:
        """Warns of a drawing's error, once for each place in the code."""
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f'{place.filename}:{place.lineno}'
        if where not in self._warned:
            self._warned.add(where)
            log.warning(
                'a picture could not be drawn, and training goes on without it: %s: %s (%s)',
                *(type(error).__name__, first_line(error), where),
            )


class DrawingTime:
    """The time that slow drawings take, of all members of a sweep together.

    They may take `MOST_SECONDS` of a short training and `MOST_SHARE` of a long one. Time for the
    pictures of the last validation, which are always drawn, is kept in reserve.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock, self._began = clock, clock()
        self._spent, self._next, self._last = 0.0, FIRST_SECONDS, LATER_SECONDS

    def allows_one_more(self) -> bool:
        """Whether there is time for another drawing and for the last one."""
        limit = max(MOST_SECONDS, MOST_SHARE * (self._clock() - self._began))
        return self._spent + self._next + self._last <= limit

    def add(self, seconds: float) -> None:
        """Counts the time of a drawing, which later ones are expected to take too."""
        is_first = self._spent == 0.0
        self._spent += seconds
        if not is_first:  # the first one says nothing of the others
            self._last = seconds
        self._next = self._last
