"""Stop requests: SIGTERM and SIGINT end a run after its current dispatch."""

import contextlib
import signal
from collections.abc import Iterator

from atelier.log import log


class Stopped(SystemExit):
    """The run stopped on a signal, saved its State and can be resumed; exit code 128 + signal."""


class StoppedAtOnce(Stopped):
    """A second signal ended the run at once; steps after the last checkpoint are lost."""


@contextlib.contextmanager
def stop_requests() -> Iterator[list[int]]:
    """Yields a list that collects the numbers of received SIGTERM and SIGINT signals.

    Raises:
      StoppedAtOnce: on the second signal.
    """
    received: list[int] = []

    def receive(signum, frame):
        del frame
        if received:
            raise StoppedAtOnce(128 + signum)
        received.append(signum)
        log.info('\nstopping after this dispatch; a second signal stops at once')

    handled = (signal.SIGTERM, signal.SIGINT)
    try:
        before = {signum: signal.signal(signum, receive) for signum in handled}
    except ValueError:  # not the main thread, so the caller keeps its own handlers
        before = {}
    try:
        yield received
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
