"""Finds the pictures below a folder: by their content, whatever their names."""

import collections
import os
import pathlib
import re
from collections.abc import Iterable
from typing import NamedTuple

from atelier.errors import UserError, reading
from atelier.log import counted, listed, log

SUFFIXES = {'.png', '.jpg', '.jpeg', '.bmp', '.gif', '.webp', '.tif', '.tiff', '.ppm', '.pgm'}
HEAD_BYTES = 64  # enough for all of STARTS
STARTS = re.compile(  # of the formats in `images.FORMATS`
    rb'\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a|RIFF....WEBP|II[*+]\0|MM\0[*+]'
    rb'|BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0|P[1-6]\s+(\d|#)',
    re.DOTALL,
)


class Found(NamedTuple):
    """The files below a folder.

    pictures: their paths relative to the folder, sorted by their parts.
    passed_over: the first file of each kind of others, and how many there are, by kind.
    """

    pictures: list[str]
    passed_over: dict[str, tuple[str, int]]


def below(base: pathlib.Path) -> Found:
    """Returns what lies below `base`, following links but visiting each folder once.

    A file is a picture if its content begins like one, or if its name ends like one. The second
    kind is refused later if it cannot be read, so no damaged picture goes unnoticed.

    Raises:
      UserError: a folder or a file cannot be read.
    """
    pictures, others, visited = [], collections.defaultdict(list), set()
    pending = [(str(base), '', '', True, False)]  # a stack, because folders may be deeply nested
    while pending:
        folder, prefix, name, is_folder, is_file = pending.pop()
        kind = _kind(folder, name, is_folder, is_file) if name else 'folder'
        if kind == 'picture':
            pictures.append(prefix + name)
        elif kind != 'folder':
            others[kind].append(f'{folder}/{name}')
        else:
            path = f'{folder}/{name}' if name else folder
            inside = f'{prefix}{name}/' if name else ''
            entries = _entries(path, visited)
            pending += [(path, inside, *entry) for entry in reversed(entries)]
    return Found(pictures, {kind: (names[0], len(names)) for kind, names in others.items()})


def _entries(folder: str, visited: set[str]) -> list[tuple[str, bool, bool]]:
    """Returns (name, whether a folder, whether a file) of what lies in a folder, once."""
    place = os.path.realpath(folder)
    if place in visited:
        return []
    visited.add(place)
    with reading(folder), os.scandir(folder) as entries:
        return sorted((entry.name, entry.is_dir(), entry.is_file()) for entry in entries)


def _kind(folder: str, name: str, is_folder: bool, is_file: bool) -> str:
    if name[0] == '.':
        return 'hidden'
    if is_folder:
        return 'folder'
    if not is_file:
        return 'broken link or special'
    stem, dot, ending = name.rpartition('.')
    suffix = (dot + ending).lower() if stem else ''
    if suffix in SUFFIXES or _begins_like_a_picture(f'{folder}/{name}'):
        return 'picture'
    return suffix or 'without suffix'


def _begins_like_a_picture(path: str) -> bool:
    with reading(path), open(path, 'rb', 0) as file:
        return STARTS.match(file.read(HEAD_BYTES)) is not None


def say_passed_over(root: pathlib.Path, found: Iterable[Found], strict: bool) -> tuple[str, ...]:
    """Logs how many files of each kind are no pictures; returns the line, if any.

    Raises:
      UserError: `strict`, and there is one that is not hidden.
    """
    counts = collections.Counter()
    for each in found:
        for kind, (first, count) in each.passed_over.items():
            counts[kind] += count
            if strict and kind != 'hidden':
                raise UserError(
                    f'{first} is not a picture ({counted(count, "such file")}), and '
                    'config.data.strict=True: remove it, or set config.data.strict=False'
                )
    if not counts:
        return ()
    kinds = listed([f'{n:,} {kind}' for kind, n in sorted(counts.items())], 8)
    note = f'passed over {counted(counts.total(), "file")} that are no pictures: {kinds}'
    log.info('%s: %s', root, note)
    return (note,)
