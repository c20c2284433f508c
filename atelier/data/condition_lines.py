"""Lines on pictures: the files captions.txt, metadata.jsonl and metadata.csv beside them.

    captions.txt     cat/1.png<TAB>a grey cat
    metadata.jsonl   {"file_name": "cat/1.png", "text": "a grey cat", "age": 3}
    metadata.csv     file_name,age
                     cat/1.png,3

The files are UTF-8 and may be untrusted. They are read line by line, and only as texts: a name of a
picture is compared with those that were found, and never opened. Empty lines count for nothing.
"""

import collections
import io
import json
import os
import pathlib
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from atelier.data.conditions.setting import TEXTS
from atelier.data.tables import check_width, rows_of
from atelier.data.text_files import BYTES_OF_MEMORY
from atelier.errors import UserError, about, first_line, reading, shortened
from atelier.files import open_regular
from atelier.memory import total_bytes

CAPTIONS, OBJECTS, TABLE = 'captions.txt', 'metadata.jsonl', 'metadata.csv'
FILE_NAME = 'file_name'  # key or column with the names of pictures
MAX_LINE = 1 << 20  # characters
NO_TEXT = re.compile('[\udc80-\udcff]')  # bytes that are no UTF-8, as they are decoded


class Line(NamedTuple):
    """What a file says of one picture.

    number: of the line, from 1.
    file: name of the picture, as it stands there.
    values: by name of the column; of a table they are texts.
    """

    number: int
    file: str
    values: dict[str, Any]


def lines_of(path: pathlib.Path) -> Iterator[Line]:
    """Yields the lines of one of the three files.

    Raises:
      UserError: the file cannot be read, or a line is not what it should be.
    """
    readers = {CAPTIONS: _captions, OBJECTS: _objects, TABLE: _table}
    return readers[path.name](path)


def columns_of(path: pathlib.Path) -> list[str]:
    """Returns the names of the columns of a file, or the keys of its first line.

    It is [] if the file does not name pictures, so that it is about something else.

    Raises:
      UserError: the file cannot be read, or its first line is not what it should be.
    """
    if path.name == CAPTIONS:
        return [TEXTS[0]]
    if path.name == TABLE:
        first = header_of(cells_of(path))
    else:
        _, first = next(_parsed(path), (0, {}))
    return [name for name in first if name != FILE_NAME] if FILE_NAME in first else []


def texts_of(path: pathlib.Path) -> Iterator[tuple[int, str]]:
    """Yields the number and the text of each line of a file; empty ones too.

    Raises:
      UserError: the file cannot be read, is too large, or a line is no text.
    """
    with reading(path), open_regular(path) as raw:
        if os.fstat(raw.fileno()).st_size > total_bytes() // BYTES_OF_MEMORY:
            raise UserError(f'{path} is too large for the memory of this machine: give fewer lines')
        # bytes that are no UTF-8 become surrogates, so that the line that has them can be named
        file, number = io.TextIOWrapper(raw, 'utf-8-sig', 'surrogateescape'), 0
        while line := file.readline(MAX_LINE + 1):
            number += 1
            fault = _fault_of(line)
            if fault:
                raise UserError(f'{path}, line {number:,}: {fault}')
            yield number, line


def _fault_of(line: str) -> str:
    if len(line) > MAX_LINE:
        return f'it has more than {MAX_LINE:,} characters'
    if NO_TEXT.search(line):
        return 'it is not UTF-8 text: convert the file'
    return 'it has zero bytes, and is no text' if '\0' in line else ''


def _captions(path: pathlib.Path) -> Iterator[Line]:
    for number, line in texts_of(path):
        file, tab, caption = line.rstrip('\n').partition('\t')
        if not line.strip():
            continue
        if not tab:
            raise UserError(
                f'{path}, line {number:,}: {shortened(line.strip())} has no tab: write the path of '
                'a picture, a tab and its caption'
            )
        yield Line(number, file, {TEXTS[0]: caption})


def _parsed(path: pathlib.Path) -> Iterator[tuple[int, dict]]:
    for number, line in texts_of(path):
        if not line.strip():
            continue
        with about(f'{path}, line {number:,}'):
            try:
                value = json.loads(line, object_pairs_hook=_object)
            except (ValueError, RecursionError) as error:
                raise UserError(f'invalid JSON: {first_line(error)}') from error
            if not isinstance(value, dict):
                raise UserError('it holds no object {"file_name": ..., ...}')
        yield number, value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns a JSON object, of whose repeated keys Python would take the last."""
    value = dict(pairs)
    if len(value) < len(pairs):
        (repeated, count), *_ = collections.Counter(key for key, _ in pairs).most_common(1)
        raise UserError(f'the key {shortened(repeated)} stands there {count} times')
    return value


def _objects(path: pathlib.Path) -> Iterator[Line]:
    for number, value in _parsed(path):
        file = value.get(FILE_NAME)
        if not isinstance(file, str):
            fault = f'{FILE_NAME} is {shortened(file)}' if FILE_NAME in value else f'no {FILE_NAME}'
            raise UserError(f'{path}, line {number:,}: {fault}: give the path of a picture')
        yield Line(number, file, value)


def cells_of(path: pathlib.Path) -> Iterator[tuple[int, list[str]]]:
    """Yields the number and the cells of each row of a table that is not empty, the header first.

    Raises:
      UserError: as `texts_of`, or quotes are wrong.
    """
    rows = rows_of((line for _, line in texts_of(path)), path)
    return ((number, cells) for number, cells in rows if any(map(str.strip, cells)))


def header_of(rows: Iterator[tuple[int, list[str]]]) -> list[str]:
    """Returns the names of the columns in the first row, without blanks around them."""
    _, names = next(rows, (0, []))
    return [name.strip() for name in names]


def _table(path: pathlib.Path) -> Iterator[Line]:
    rows = cells_of(path)
    header = header_of(rows)
    if header.count(FILE_NAME) != 1:
        raise UserError(f'{path}: its first line has to name its columns, one of them {FILE_NAME}')
    for number, cells in rows:
        check_width(cells, header, f'{path}, line {number:,}')
        values = dict(zip(header, cells, strict=True))
        yield Line(number, values[FILE_NAME], values)
