"""UserError: user mistakes, as opposed to bugs."""

import contextlib
import difflib
import errno
import math
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

T = TypeVar('T')
A_RUN = 'the folder of a run that was trained before, such as runs/vae-digits'
MAX_UNROLLED = 1000  # layers, turns or taps of a kernel: each is built and compiled on its own
MAX_LINE = 2000  # characters of a message
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FORBIDDEN = (
    errno.EACCES,
    errno.ELOOP,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENOENT,
    errno.ENAMETOOLONG,
)


class UserError(Exception):
    """A mistake that the user can fix; `main.py` prints it as one line, without a traceback.

    The message says what is wrong and what to do. Any other exception is a bug and keeps its
    traceback.
    """

    def __init__(self, message: str):
        """Keeps the start and the end of a message that holds a huge text, such as a flag's."""
        super().__init__(shortened_text(message, MAX_LINE))


def opened_from_python(folder: object) -> str:
    """Returns the message for a run without a config file, where one is needed."""
    return (
        f'{folder} was trained from Python and is opened there: '
        f'atelier.load({str(folder)!r}, build)'
    )


def shortened(value: object, longest: int = 80) -> str:
    """Returns the `repr` of a value that may be huge, at most about `longest` characters of it."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = longest
    return short.repr(value)


def shortened_text(text: str, longest: int = 120) -> str:
    """Returns a text that may be huge, at most `longest` characters of it: its start and end."""
    half = (longest - 3) // 2
    return text if len(text) <= longest else f'{text[:half]}...{text[-half:]}'


def short_repr(named_tuple: tuple) -> str:
    """Returns a `repr` with the fields that differ from their defaults; long ones are cut."""
    fields, defaults = named_tuple._asdict(), named_tuple._field_defaults
    texts = [
        f'{name}={shortened(value)}'
        for name, value in fields.items()
        if name not in defaults or value != defaults[name]
    ]
    return f'{type(named_tuple).__name__}({", ".join(texts)})'


def first_line(error: Exception) -> str:
    """Returns the first line of a library's error message, at most 200 characters of it."""
    return str(error).split('\n')[0][:200]


def did_you_mean(value: str, known: Iterable[str]) -> str:
    """Returns ' (did you mean X?)' for the closest of `known`, or an empty string."""
    return suggestion(closest(value, known))


def closest(value: str, known: Iterable[str]) -> str | None:
    """Returns the most similar of `known`, or None if none is similar."""
    return next(iter(difflib.get_close_matches(value, list(known), n=1)), None)


def closest_field(name: str, fields: Iterable[str]) -> str | None:
    """Returns the config field meant by `name`: one that ends in it, else the most similar one."""
    fields = list(fields)
    return next(iter(fields_named(name, fields)), None) or closest(name, fields)


def fields_named(name: str, fields: Iterable[str]) -> list[str]:
    """Returns the config fields of this name, with or without the groups before it."""
    return [field for field in fields if f'.{field}'.endswith(f'.{name}')]


def suggestion(name: str | None) -> str:
    """Returns ' (did you mean NAME?)', to append to what the user typed; '' for None."""
    return '' if name is None else f' (did you mean {name!r}?)'


def choose(field: str, value: str, options: Mapping[str, T]) -> T:
    """Returns `options[value]`: turns a config's string into a Python value.

    Raises:
      UserError: `value` is not an option. The message names the config field and the options.
    """
    if value not in options:
        hint = did_you_mean(str(value), options) if len(options) > 1 else ''
        raise UserError(
            f'config.{field} is {shortened(value)}; choose one of '
            f'{", ".join(map(repr, options))}{hint}'
        )
    return options[value]


def check_option(name: str, value: str, options: Iterable[str], more: str = '') -> None:
    """Refuses the value of a flag or of an application's option that is not one of `options`.

    Raises:
      UserError: names the flag, its value and the options, then `more`, other possible values.
    """
    options = list(options)
    if value not in options:
        raise UserError(
            f'--{name}={shortened_text(value)}: choose one of {", ".join(options)}{more}'
            f'{did_you_mean(value, options)}'
        )


@contextlib.contextmanager
def about(prefix: str) -> Iterator[None]:
    """Begins the message of a `UserError` with `prefix`, the setting that caused it."""
    try:
        yield
    except UserError as error:
        raise UserError(f'{prefix}: {error}') from error


@contextlib.contextmanager
def writing(path: object) -> Iterator[None]:
    """Turns an error from a full disk or a forbidden write to `path` into a `UserError`."""
    try:
        yield
    except OSError as error:
        if error.errno not in (*FULL, *FORBIDDEN):
            raise
        reason = error.strerror or str(error)
        advice = (
            'free some space and start the same command again'
            if error.errno in FULL
            else 'choose another --workdir'
        )
        raise UserError(f'cannot write {path}: {reason}; {advice}') from error


def at_least(least: int, field: str, *values: object, most: int | float = math.inf) -> None:
    """Refuses a value that is not a finite number, or that is below `least` or above `most`.

    Raises:
      UserError: names the config field, the value and the limit.
    """
    for value in values:
        if not isinstance(value, int | float) or not least <= value < math.inf:
            raise UserError(f'config.{field}={value}: it must be a finite number, at least {least}')
        if value > most:
            raise UserError(f'config.{field}={value}: it must be at most {most:,}')


def check_sizes(owner: object, *names: str, least: int = 1, most: int | float = math.inf) -> None:
    """Refuses model sizes outside [least, most]. The sizes are the attributes `names` of `owner`,
    which have the names of fields of config.model.

    Raises:
      UserError: names the config field, the value and the limit.
    """
    for name in names:
        value = getattr(owner, name)
        values = value if isinstance(value, tuple) else (value,)
        at_least(least, f'model.{name}', *values, most=most)


def above_zero(field: str, value: float) -> None:
    """Refuses a value that is not positive.

    Raises:
      UserError: names the config field and the value.
    """
    if not value > 0:
        raise UserError(f'config.{field}={value}: it must be above 0')


def share(field: str, value: float, *, below_one: bool = False) -> None:
    """Refuses a value outside [0, 1], or outside [0, 1) with `below_one`.

    Raises:
      UserError: names the config field and the value.
    """
    if not (0 <= value <= 1 and not (below_one and value == 1)):
        end = 'below 1' if below_one else '1'
        raise UserError(f'config.{field}={value}: it must be a share from 0 to {end}')


@contextlib.contextmanager
def reading(path: object) -> Iterator[None]:
    """Turns a file-system error while reading `path` into a `UserError`."""
    try:
        yield
    except OSError as error:
        raise UserError(f'cannot read {path}: {error.strerror or error}') from error
