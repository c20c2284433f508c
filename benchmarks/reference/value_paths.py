"""Paths of values in JSON files: `[-][FILE:]name."a name".3.name`.

A leading minus negates the value, as for -ELBO. Names with dots or spaces are quoted. A number
is an index where the value is a list.
"""

import math
import pathlib
import re
from typing import Any, NamedTuple

from atelier import files
from atelier.errors import UserError, shortened, shortened_text
from atelier.log import one_line

MAX_REASON = 500  # characters of the reason why there is no ratio
PART = re.compile(r'"([^"]+)"|([^."]+)')


class RefusedError(UserError):
    """A benchmark has no such value; the message is its reason."""


class MissingError(UserError):
    """A file has no such value and does not say why."""


class ValuePath(NamedTuple):
    """A path: file ('': the default one), names from the outermost, and the sign of the value."""

    file: str
    names: tuple[str, ...]
    sign: int


def parsed(text: str) -> ValuePath:
    """Returns the path that a text describes.

    Raises:
      UserError: the text is not a path.
    """
    sign, rest = (-1, text[1:]) if text.startswith('-') else (1, text)
    file, colon, path = rest.rpartition(':') if '"' not in rest else _at_first_colon(rest)
    names, position = [], 0
    while position < len(path):
        match = PART.match(path, position)
        if not match or path[match.end() : match.end() + 1] not in ('', '.'):
            break
        names.append(match.group(1) or match.group(2))
        position = match.end() + 1
    if not names or position != len(path) + 1:
        raise UserError(f'{shortened(text)} is not a path such as values.nll_nats.mean')
    return ValuePath(file if colon else '', tuple(names), sign)


def _at_first_colon(text: str) -> tuple[str, str, str]:
    file, colon, path = text.partition(':')
    return (file, colon, path) if colon and '"' not in file else ('', '', text)


def read(text: str, folder: pathlib.Path, default: str) -> tuple[float, float | None]:
    """Returns the value at a path and, if it is a `mean`, the standard error beside it.

    `default` is the name of the file where the path names none.

    Raises:
      RefusedError: the benchmark wrote {"refused": reason} instead of a ratio or an arm's values.
      MissingError: the file has no such value.
      UserError: the file cannot be read, or the value is no number.
    """
    path = parsed(text)
    file = folder / (path.file or default)
    try:
        content: Any = files.read_json(file)
    except (OSError, ValueError) as error:
        raise UserError(f'{file} cannot be read: {error}') from error
    parent: Any = {}
    for name in path.names:
        parent, content = content, _child(content, name)
        if content is None:
            if isinstance(parent, dict) and isinstance(parent.get('refused'), str):
                raise RefusedError(shortened_text(one_line(parent['refused']), MAX_REASON))
            raise MissingError(f'{file} has no {".".join(path.names)}')
    if isinstance(content, bool) or not isinstance(content, int | float):
        raise UserError(f'{file}: {".".join(path.names)} is no number')
    error = parent.get('standard_error') if path.names[-1] == 'mean' else None
    is_error = isinstance(error, int | float) and math.isfinite(error)
    return path.sign * float(content), float(error) if is_error else None


def _child(content: Any, name: str) -> Any:
    if isinstance(content, dict):
        return content.get(name)
    if isinstance(content, list) and name.isdigit() and int(name) < len(content):
        return content[int(name)]
    return None
