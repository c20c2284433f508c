"""Reads arguments before they are parsed: some of them decide which flags exist."""

import os
import re


def value_of(name: str, argv: list[str]) -> str | None:
    """Returns the value of --name=VALUE or --name VALUE before parsing; the last if repeated."""
    return next(reversed(_values_of(name, argv)), None)


def paths_of(name: str, argv: list[str]) -> list[str]:
    """Returns the paths of --name=PATH,PATH before parsing; the flag may be repeated.

    A value that is the path of an existing file or folder is one path, even with commas.
    """
    paths = []
    for value in _values_of(name, argv):
        paths += [value] if os.path.exists(os.path.expanduser(value)) else value.split(',')
    return [path for path in paths if path]


def _values_of(name: str, argv: list[str]) -> list[str]:
    values = []
    for i, arg in enumerate(argv):
        match = _match(name, arg)
        if match:
            values.append(match.group(2) if match.group(1) else ''.join(argv[i + 1 : i + 2]))
    return values


def without(name: str, argv: list[str]) -> list[str]:
    """Returns `argv` without --name=VALUE and --name VALUE."""
    kept, is_value = [], False
    for arg in argv:
        match = None if is_value else _match(name, arg)
        if not match and not is_value:
            kept.append(arg)
        is_value = bool(match and not match.group(1))
    return kept


def _match(name: str, arg: str) -> re.Match | None:
    return re.fullmatch(rf'--?{name}(=(.*))?', arg, re.DOTALL)
