"""The logger `atelier`, which writes lines to the terminal."""

import contextlib
import copy
import logging
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, SupportsIndex

from atelier.errors import MAX_LINE, shortened_text

log = logging.getLogger('atelier')


def counted(n: SupportsIndex, noun: str) -> str:
    """Returns a number with its noun, such as '1 program', '2,000 programs' or '2 classes'."""
    ending = 'es' if noun.endswith('s') else 's'
    return f'{n:,} {noun}' + ('' if n == 1 else ending)


def escaped(text: str, keep: str = '') -> str:
    r"""Returns `text` with control characters, and all others that do not print, as escapes.

    Names of files, classes and fields may be untrusted. A line break or a terminal code in one of
    them could forge a log line, so a line break is printed as `\n`.

    Args:
      text: one message.
      keep: characters that stay as they are.
    """
    is_plain = lambda c: c.isprintable() or c in keep or unicodedata.category(c) == 'Zs'
    return ''.join(
        c if is_plain(c) else c.encode('unicode_escape', 'surrogatepass').decode() for c in text
    )


class Lines(str):
    """Several lines as one argument of a message: their line breaks are kept."""

    def __new__(cls, lines: Iterable[str]) -> 'Lines':
        """Joins lines, each escaped so that it cannot forge another."""
        return super().__new__(cls, '\n'.join(one_line(line, keep='\t') for line in lines))


class Formatter(logging.Formatter):
    """Plain lines, marked if they are warnings.

    The arguments of a message may be untrusted names, so they are escaped, and shortened if huge.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line of a record."""
        mark = 'warning: ' if record.levelno >= logging.WARNING else ''
        escaped_record = copy.copy(record)
        if isinstance(record.args, tuple):
            escaped_record.args = tuple(_escaped_argument(each) for each in record.args)
        return mark + escaped_record.getMessage()


def _escaped_argument(argument: Any) -> Any:
    is_number = hasattr(argument, '__float__')
    return argument if is_number or isinstance(argument, Lines) else one_line(str(argument))


def one_line(text: str, keep: str = '') -> str:
    """Returns `escaped(text, keep)`; of a huge text, its start and its end."""
    return shortened_text(escaped(shortened_text(text, MAX_LINE), keep), MAX_LINE)


@contextlib.contextmanager
def warnings_only() -> Iterator[None]:
    """Logs only warnings in this context, such as while an evaluation trains its own classifier."""
    level = log.level
    log.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        log.setLevel(level)


def listed(names: Sequence[str], most: int = 4, between: str = ', ') -> str:
    """Returns names with commas between them; of more than `most`, the first and a count.

    `between` takes the place of the commas, for names that have commas in them.
    """
    if len(names) <= most:
        return between.join(names)
    return f'{between.join(names[: most - 1])} and {len(names) - most + 1:,} more'


def log_to_terminal() -> None:
    """Logs plain lines to standard output, and marked warnings to standard error."""
    for stream, levels in ((sys.stdout, range(30)), (sys.stderr, range(30, 60))):
        handler = logging.StreamHandler(stream)
        handler.setFormatter(Formatter())
        handler.addFilter(lambda record, levels=levels: record.levelno in levels)
        log.addHandler(handler)
    logging.getLogger('jax').setLevel(logging.WARNING)  # INFO lists missing backends
    log.setLevel(logging.INFO)
    log.propagate = False
    logging.raiseExceptions = False  # no tracebacks after the output pipe is closed, as by `| head`
    logging.getLogger('matplotlib').setLevel(logging.WARNING)
    sys.unraisablehook = _report_unraisable


def _report_unraisable(unraisable) -> None:
    """Ignores tensorstore's 'Event loop is closed': after a failed save, it still writes arrays."""
    if str(unraisable.exc_value) != 'Event loop is closed':
        sys.__unraisablehook__(unraisable)
