"""The condition of pictures from files beside them: captions.txt, metadata.jsonl, metadata.csv.

They lie in the folder of all pictures, or in the folder of each split, and name pictures by their
paths in it. Every picture needs a line. Lines of pictures that are not there are passed over, and a
note counts them.
"""

import pathlib
import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from atelier.data.condition_columns import Arrays, Columns, joined, of_cell, prepared
from atelier.data.condition_lines import (
    CAPTIONS,
    OBJECTS,
    TABLE,
    Line,
    columns_of,
    lines_of,
)
from atelier.data.conditions.setting import MAX_SHOWN, NONE, TEXTS, check_known, described
from atelier.errors import UserError, shortened
from atelier.log import counted, escaped, listed
from atelier.paths import user_path

FILES = (CAPTIONS, OBJECTS, TABLE)
UNUSUAL = re.compile(r'^$|^/|/$|//|(^|/)\.{1,2}(/|$)')  # paths that may be written in another way


class Source(NamedTuple):
    """A file with the condition of the pictures in its folder.

    path: of the file.
    names: of its columns that are the condition.
    is_guess: whether these were not chosen.
    """

    path: pathlib.Path
    names: tuple[str, ...]
    is_guess: bool


def find(
    root: pathlib.Path, bases: dict[str, pathlib.Path], names: tuple[str, ...] | None
) -> list[Source]:
    """Returns the file in `root`, or that of each split; [] if there is no condition.

    Args:
      root: the folder of all pictures.
      bases: the folder of each split; {'train': root} without splits.
      names: as of `setting.chosen`.

    Raises:
      UserError: some splits have a file and others have none, or there are several.
    """
    if names is None:
        return []
    whole = _source_in(root, names)
    parts = {} if root in bases.values() else {b: _source_in(b, names) for b in bases.values()}
    found = [source for source in parts.values() if source]
    if whole and found:
        raise UserError(f'{whole.path} and {found[0].path} both have the condition: keep one')
    if found and len(found) < len(parts):
        lacking = next(base for base, source in parts.items() if not source)
        raise UserError(
            f'{lacking} has no condition of its pictures, unlike {found[0].path.parent}: give it a '
            f'file {found[0].path.name}, or set config.data.condition={NONE}'
        )
    return [whole] if whole else found


def check_found(
    root: pathlib.Path, sources: Sequence[Source], names: tuple[str, ...] | None
) -> None:
    """Checks that there is a file with the columns that are chosen by name.

    Raises:
      UserError: there is none in `root`.
    """
    if names and not sources:
        files = FILES if names == TEXTS[:1] else FILES[1:]
        has_other = (root / CAPTIONS).is_file() and names[0] in TEXTS
        advice = f': give {TEXTS[0]} to read its {CAPTIONS}' if has_other else ''
        raise UserError(f'{described(names)}: {root} has no {" and no ".join(files)}{advice}')


def advice_on_columns(folder: str) -> str:
    """Returns advice to choose columns of the file in a user's folder; '' if it has none.

    Raises:
      UserError: the file cannot be read.
    """
    for path in (user_path(folder) / OBJECTS, user_path(folder) / TABLE):
        columns = columns_of(path) if path.is_file() else []
        if columns:
            names = listed([*map(escaped, columns)], MAX_SHOWN)
            return f'set config.data.condition to columns of {path.name} ({names})'
    return ''


def _source_in(folder: pathlib.Path, names: tuple[str, ...]) -> Source | None:
    """Returns the file in a folder that has the condition of its pictures."""
    if (folder / CAPTIONS).is_file() and names in ((), TEXTS[:1]):
        return Source(folder / CAPTIONS, TEXTS[:1], not names)
    found = []
    for path in (folder / OBJECTS, folder / TABLE):
        if path.is_file():
            here = names or tuple(name for name in TEXTS if name in columns_of(path))[:1]
            found += [Source(path, here, not names)] if here else []
    if len(found) > 1:
        raise UserError(
            f'{folder} has {OBJECTS} and {TABLE}: keep one of them, or set '
            f'config.data.condition={NONE}'
        )
    return found[0] if found else None


def prepared_of(
    sources: Sequence[Source], pictures: Sequence[Sequence[str]], strict: bool
) -> Arrays | None:
    """Returns the condition of pictures as arrays; None if there is none.

    Arguments and errors: those of `read` and `condition_columns.prepared`.
    """
    if not sources:
        return None
    columns = read(sources, pictures, strict)
    return prepared(columns, sources[0].path.name, sources[0].is_guess)


def read(
    sources: Sequence[Source],
    pictures: Sequence[Sequence[str]],
    strict: bool = False,
    are_texts: bool = False,
) -> Columns:
    """Returns the condition of all pictures, those of one source after those of another.

    Args:
      sources: as of `find`, at least one.
      pictures: of each source, their paths below its folder.
      strict: whether lines of pictures that are not there are refused.
      are_texts: whether cells of a table that hold numbers stay texts, as `rows_as` reads them.

    Raises:
      UserError: a line is not what it should be, or a picture has none.
    """
    each = [
        _columns(source, names, strict, are_texts)
        for source, names in zip(sources, pictures, strict=True)
    ]
    return joined(each, sources[0].path.parent)


def _columns(source: Source, pictures: Sequence[str], strict: bool, are_texts: bool) -> Columns:
    found, absent = _rows(source, pictures)
    has_numbers = source.path.name == TABLE and not are_texts
    parsed = {name: has_numbers and name not in TEXTS for name in source.names}
    values = {
        name: [of_cell(line.values[name]) if is_parsed else line.values[name] for line in found]
        for name, is_parsed in parsed.items()
    }
    place = lambda i: f'{source.path}, line {found[i].number:,}'
    return Columns(values, place, _note_of_absent(source, absent, strict))


def _rows(source: Source, pictures: Sequence[str]) -> tuple[list[Line], list[Line]]:
    """Returns the line of each picture, with its condition alone, and the lines of no picture."""
    path, known = source.path, columns_of(source.path)
    if known:  # else the first line has no name of a picture, and is refused below
        check_known(source.names, known, f'{path}, line 1')
    index = {_composed(name): i for i, name in enumerate(pictures)}
    index |= {name: i for i, name in enumerate(pictures)}
    found: list[Line | None] = [None] * len(pictures)
    first_lines: dict[int | str, int] = {}
    absent = []
    for line in lines_of(path):
        name = _inside(line, path)
        which = index.get(name, index.get(_composed(name)))
        first = first_lines.setdefault(name if which is None else which, line.number)
        if first != line.number:
            raise UserError(
                f'{path}, line {line.number:,}: {shortened(name)} has a line already, {first:,}'
            )
        kept = line._replace(values={key: line.values.get(key) for key in source.names})
        if which is None:
            absent.append(kept._replace(values={}))
        else:
            found[which] = kept
    _check_whole(source.path, pictures, found)
    return found, absent


def _composed(name: str) -> str:
    """Returns a name whose letters with accents are one symbol each (NFC), as on other disks."""
    return unicodedata.normalize('NFC', name)


def _check_whole(path: pathlib.Path, pictures: Sequence[str], found: list[Line | None]) -> None:
    """Checks that each picture has a line.

    Raises:
      UserError: names the first that has none.
    """
    lacking = [name for name, line in zip(pictures, found, strict=True) if line is None]
    if lacking:
        raise UserError(
            f'{path} has no line of {lacking[0]} ({counted(len(lacking), "such picture")}): add '
            f'it, remove the picture, or set config.data.condition={NONE}'
        )


def _inside(line: Line, path: pathlib.Path) -> str:
    """Returns the path of a line's picture below the folder of the file."""
    if not UNUSUAL.search(line.file):
        return line.file
    name = pathlib.PurePosixPath(line.file)
    if name.is_absolute() or '..' in name.parts:
        raise UserError(
            f'{path}, line {line.number:,}: {shortened(line.file)} is outside the folder: give '
            'the path of a picture in it'
        )
    return str(name)


def _note_of_absent(source: Source, absent: list[Line], strict: bool) -> tuple[str, ...]:
    """Returns a note on the lines of pictures that are not there, if there are any.

    Raises:
      UserError: `strict`, and there are some.
    """
    if not absent:
        return ()
    lines = f'{counted(len(absent), "line")} of pictures that are not there'
    first = f'line {absent[0].number:,}, {shortened(absent[0].file)}'
    if strict:
        raise UserError(
            f'{source.path} has {lines} ({first}), and config.data.strict=True: remove them, or '
            'set config.data.strict=False'
        )
    return (f'{source.path.name}: passed over {lines}: {first}',)
