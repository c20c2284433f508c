"""Asking a run to stop."""

import contextlib
import signal
from collections.abc import Iterator

from atelier.log import log


class Stopped(SystemExit):
    """The run was asked to stop, saved its State and may be continued; the code is 128 + signal."""


class StoppedAtOnce(Stopped):
    """It was asked twice: nothing is waited for, and nothing but the last checkpoint is kept."""


@contextlib.contextmanager
def stop_requests() -> Iterator[list[int]]:
    """A list that fills with the SIGTERM and SIGINT received; a second one ends at once."""
    received: list[int] = []

    def receive(number, frame):
        del frame
        if received:
            raise StoppedAtOnce(128 + number)
        received.append(number)
        log.info('\nstopping after this dispatch; once more stops at once')

    handled = (signal.SIGTERM, signal.SIGINT)
    try:
        before = {number: signal.signal(number, receive) for number in handled}
    except ValueError:  # not in the main thread: the caller keeps its own handlers
        before = {}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
