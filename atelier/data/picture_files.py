"""Finds the pictures below a folder: by their content, whatever their names."""

import collections
import os
import pathlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from atelier.errors import UserError, reading
from atelier.log import counted, listed, log

SUFFIXES = {'.png', '.jpg', '.jpeg', '.bmp', '.gif', '.webp', '.tif', '.tiff', '.ppm', '.pgm'}
MAX_NAMED = 8  # kinds or folders that a line names
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
    links: to folders that are read already.
    empty: sub-folders of the folder itself that have no pictures.
    """

    pictures: list[str]
    passed_over: dict[str, tuple[str, int]]
    links: list[str]
    empty: list[str]


def below(base: pathlib.Path, others_read: Collection[pathlib.Path] = ()) -> Found:
    """Returns what lies below `base`, following links but visiting each folder once.

    A file is a picture if its content begins like one, or if its name ends like one. The second
    kind is refused later if it cannot be read, so no damaged picture goes unnoticed. Links to
    folders are followed last, so that a folder keeps its own name beside a link to it.

    Args:
      base: the folder.
      others_read: files that are no pictures and are read, so that they are not passed over.

    Raises:
      UserError: a folder or a file cannot be read.
    """
    read = {*map(str, others_read)}
    pictures, others, visited = [], collections.defaultdict(list), set()
    links, repeated, folders = collections.deque(), [], []
    pending = [(str(base), '', _FOLDER)]  # a stack, because folders may be deeply nested
    while pending or links:
        is_linked = not pending
        folder, prefix, entry = links.popleft() if is_linked else pending.pop()
        name, path = entry.name, f'{folder}/{entry.name}' if entry.name else folder
        kind = _kind(folder, name, entry.is_folder, entry.is_file) if name else 'folder'
        if kind == 'picture':
            pictures.append(prefix + name)
        elif kind != 'folder':
            if path not in read:
                others[kind].append(path)
        elif entry.is_link and not is_linked:
            links.append((folder, prefix, entry))
        else:
            entries = _entries(path, visited)
            if entries is None:
                repeated.append(path)
                continue
            folders += [name] if name and not prefix else []
            inside = f'{prefix}{name}/' if name else ''
            pending += [(path, inside, each) for each in reversed(entries)]
    # those behind links were found last
    pictures.sort(key=lambda name: name.replace('/', '\0'))
    used = {first for first, slash, _ in (name.partition('/') for name in pictures) if slash}
    empty = [f'{base}/{name}' for name in sorted({*folders} - used)]
    passed_over = {kind: (names[0], len(names)) for kind, names in others.items()}
    return Found(pictures, passed_over, repeated, empty)


class _Entry(NamedTuple):
    """A file or folder in a folder; a link is what it leads to."""

    name: str
    is_folder: bool
    is_file: bool
    is_link: bool


_FOLDER = _Entry('', True, False, False)  # the one in which the search begins


def _entries(folder: str, visited: set[str]) -> list[_Entry] | None:
    """Returns what lies in a folder, sorted by name; None if it was visited before."""
    place = os.path.realpath(folder)
    if place in visited:
        return None
    visited.add(place)
    with reading(folder), os.scandir(folder) as entries:
        return sorted(_Entry(e.name, e.is_dir(), e.is_file(), e.is_symlink()) for e in entries)


def beside(root: pathlib.Path) -> list[pathlib.Path]:
    """Returns the pictures in a folder itself, not in folders below it, sorted by name.

    Raises:
      UserError: the folder or a file cannot be read.
    """
    entries = _entries(str(root), set()) or ()
    is_picture = lambda e: _kind(str(root), e.name, e.is_folder, e.is_file) == 'picture'
    return [root / entry.name for entry in entries if is_picture(entry)]


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


def note_of_inner(files: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Returns a line on the folders inside classes, if there are any.

    Args:
      files: the images of each split, as paths below its folder.
    """
    inner = {name.rpartition('/')[0] for names in files.values() for name in names}
    inner = sorted(name for name in inner if '/' in name)
    if not inner:
        return ()
    return (f'{counted(len(inner), "folder")} inside classes, read as theirs: {listed(inner)}',)


def listed_kinds(found: Found) -> str:
    """Returns how many files of each kind are no pictures, as text; '' if there are none."""
    kinds = sorted(found.passed_over.items())
    return listed([f'{count:,} {kind}' for kind, (_, count) in kinds], MAX_NAMED)


def say_passed_over(root: pathlib.Path, found: Iterable[Found], strict: bool) -> tuple[str, ...]:
    """Logs how many files of each kind are no pictures, and which folders count for nothing.

    Returns:
      The lines, if any.

    Raises:
      UserError: `strict`, and there is a file that is no picture and is not hidden.
    """
    found, counts = list(found), collections.Counter()
    for each in found:
        for kind, (first, count) in each.passed_over.items():
            counts[kind] += count
            if strict and kind != 'hidden':
                raise UserError(
                    f'{first} is not a picture ({counted(count, "such file")}), and '
                    'config.data.strict=True: remove it, or set config.data.strict=False'
                )
    notes = []
    if counts:
        kinds = listed([f'{n:,} {kind}' for kind, n in sorted(counts.items())], MAX_NAMED)
        are = 'that is no picture' if counts.total() == 1 else 'that are no pictures'
        notes.append(f'passed over {counted(counts.total(), "file")} {are}: {kinds}')
    links = [path for each in found for path in each.links]
    if links:
        names = listed(links, MAX_NAMED)
        notes.append(f'passed over {counted(len(links), "link")} to folders read already: {names}')
    empty = [path for each in found for path in each.empty]
    if empty:
        notes.append(
            f'{counted(len(empty), "folder")} without pictures: {listed(empty, MAX_NAMED)}'
        )
    for note in notes:
        log.info('%s: %s', root, note)
    return tuple(notes)
