"""The logger `atelier`, which writes lines to the terminal."""

import logging
import sys

log = logging.getLogger('atelier')


def counted(n: int, noun: str) -> str:
    """Returns a number with its noun, such as '1 program' or '2,000 programs'."""
    return f'{n:,} {noun}' + ('' if n == 1 else 's')


def log_to_terminal() -> None:
    """Logs plain lines to standard output, and marked warnings to standard error."""

    class Formatter(logging.Formatter):
        def format(self, record):
            mark = 'warning: ' if record.levelno >= logging.WARNING else ''
            return mark + record.getMessage()

    for stream, levels in ((sys.stdout, range(30)), (sys.stderr, range(30, 60))):
        handler = logging.StreamHandler(stream)
        handler.setFormatter(Formatter())
        handler.addFilter(lambda record, levels=levels: record.levelno in levels)
        log.addHandler(handler)
    logging.getLogger('jax').setLevel(logging.WARNING)  # INFO lists missing backends
    log.setLevel(logging.INFO)
    log.propagate = False
    logging.raiseExceptions = False  # no tracebacks after the reader has left, as in `| head`
    logging.getLogger('matplotlib').setLevel(logging.WARNING)
    sys.unraisablehook = _report_unraisable


def _report_unraisable(unraisable) -> None:
    """Ignores the closed event loop of a failed save, to which tensorstore still writes arrays."""
    if str(unraisable.exc_value) != 'Event loop is closed':
        sys.__unraisablehook__(unraisable)
