"""Items as texts, read from the lines of a file, from parts of it, or from a column of a table.

Lines end with `\\n`, `\\r\\n` or `\\r`. Items keep spaces at their ends. Empty items, and those of
white space only, are left out, and a note counts them.
"""

import collections
import csv
import io
import pathlib
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from atelier.data import text_files
from atelier.data.tables import check_width, rows_of
from atelier.errors import UserError, did_you_mean, shortened
from atelier.log import counted, listed

NEWLINE = '\n'
TABLES = {'.csv': ',', '.tsv': '\t'}  # endings of tables, and what is between their cells
GZIP_ENDING = '.gz'
MAX_SHOWN = 20  # columns that a message names
FEWEST = 100  # items of a label that is a class of its own
OTHER = 'other'


class Items(NamedTuple):
    """Items in the order of their file.

    texts: none of them is empty.
    rows: number of the first line of each item, from 1.
    labels: name of the class of each item; None: they have none.
    notes: lines on what was left out.
    counted_by: what `rows` counts, for messages.
    condition: cells of columns that the items are conditional on, by name; None: there are none.
    """

    texts: list[str]
    rows: Int[np.ndarray, 'items']
    labels: list[str] | None = None
    notes: tuple[str, ...] = ()
    counted_by: str = 'line'
    condition: dict[str, list[str]] | None = None

    def at(self, index: np.ndarray) -> 'Items':
        """Returns the items at an index [n]."""
        index = np.asarray(index)
        chosen = lambda values: [values[i] for i in index.tolist()]
        condition = self.condition and {k: chosen(v) for k, v in self.condition.items()}
        return self._replace(
            texts=chosen(self.texts),
            rows=self.rows[index],
            labels=self.labels and chosen(self.labels),
            condition=condition,
        )


def read(
    file: pathlib.Path,
    column: str = '',
    label_column: str = '',
    separator: str = '',
    condition: Sequence[str] = (),
) -> Items:
    """Reads a file: of a table (.csv, .tsv) the cells of a column, otherwise lines or parts.

    Args:
      file: UTF-8; its name may end with .gz, too.
      column: name of the column of a table; '': its only one.
      label_column: name of the column with classes; '': there are no labels.
      separator: as of `in_parts`; '': each line is an item.
      condition: names of the columns that the items are conditional on.

    Raises:
      UserError: the file is not such a text, has no items or lacks the column.
    """
    text = _text_of(file)
    delimiter = _delimiter_of(file)
    if delimiter is not None:
        if separator:
            raise UserError(f'{file.name} is a table: leave config.data.separator out')
        return in_column(text, file.name, column, label_column, delimiter, condition)
    names = {'column': column, 'label_column': label_column, 'condition': ','.join(condition)}
    for field, value in names.items():
        if value:
            raise UserError(
                f'config.data.{field}={value}: {file.name} is no table: a file with columns is '
                f'named {" or ".join(TABLES)}'
            )
    items = in_parts(text, separator) if separator else in_lines(text)
    return _checked(items, file.name)


def usual_labels(labels: Sequence[str]) -> list[str]:
    """Returns the labels, with `OTHER` for those that are empty or of fewer than `FEWEST` items."""
    counts = collections.Counter(labels)
    return [each if each and counts[each] >= FEWEST else OTHER for each in labels]


def read_similar(
    file: pathlib.Path,
    column: str,
    label_column: str,
    separator: str,
    condition: Sequence[str] = (),
) -> Items:
    """Reads a file as `read` does, without what it lacks: a column, or parts of a table.

    Raises:
      UserError: as `read`, or a table without the column has several.
    """
    text, delimiter = _text_of(file), _delimiter_of(file)
    if delimiter is None:
        return _checked(in_parts(text, separator) if separator else in_lines(text), file.name)
    try:
        header = next(csv.reader(io.StringIO(text, NEWLINE), delimiter=delimiter), [])
    except csv.Error as error:
        raise UserError(f'{file.name}, line 1: {error}') from error
    if column not in header and len(header) > 1:
        needed = f'the column {shortened(column)} or a single one' if column else 'a single column'
        columns = _columns(header)
        raise UserError(f'{file.name} has the columns {columns}: give a table with {needed}')
    column, label_column = (each if each in header else '' for each in (column, label_column))
    condition = condition if {*condition} <= {*header} else ()
    return in_column(text, file.name, column, label_column, delimiter, condition)


def _text_of(file: pathlib.Path) -> str:
    return text_files.read(file).replace('\r\n', NEWLINE).replace('\r', NEWLINE)


def _delimiter_of(file: pathlib.Path) -> str | None:
    """Returns what is between the cells of a table; None: the file is no table."""
    return TABLES.get(pathlib.Path(file.name.lower().removesuffix(GZIP_ENDING)).suffix)


def in_lines(text: str) -> Items:
    """Returns the lines of a text as items."""
    lines = text.removesuffix(NEWLINE).split(NEWLINE)
    return without_empty(Items(lines, np.arange(1, 1 + len(lines))))


def in_parts(text: str, separator: str) -> Items:
    r"""Returns the parts between separators as items, without new lines at their ends.

    Args:
      text: of the file. Lines of spaces count as empty lines.
      separator: any text; `\n` in it stands for a new line, so that '\n\n' is an empty line.
    """
    text = re.sub(r'(?m)^[^\S\n]+$', '', text)
    separator = separator.replace('\\n', NEWLINE)
    parts, texts, rows, line = text.split(separator), [], [], 1
    for part in parts:
        inner = part.lstrip(NEWLINE)
        rows.append(line + len(part) - len(inner))
        texts.append(inner.rstrip(NEWLINE))
        line += part.count(NEWLINE) + separator.count(NEWLINE)
    return without_empty(Items(texts, np.array(rows)))


def in_column(
    text: str,
    name: str,
    column: str,
    label_column: str,
    delimiter: str,
    condition: Sequence[str] = (),
) -> Items:
    """Returns the cells of a column as items; the first line of a table names its columns.

    Raises:
      UserError: the table is damaged, or there is no such column; lists those that there are.
    """
    # of one column, there is no need to look at each cell
    if '"' not in text and delimiter not in text and not condition:
        header, _, rest = text.partition(NEWLINE)
        _index_of(column, [header], name, 'column')
        if label_column:
            _index_of(label_column, [header], name, 'label_column')
        items = in_lines(rest)
        return _checked(items._replace(rows=items.rows + 1), name)
    table = rows_of(io.StringIO(text, NEWLINE), name, delimiter)
    _, header = next(table, (1, []))
    index = _index_of(column, header, name, 'column')
    label_index = _index_of(label_column, header, name, 'label_column') if label_column else 0
    indices = [_index_of(each, header, name, 'condition') for each in condition]
    rows, columns, empty = [], [[] for _ in (index, label_index, *indices)], 0
    for line, cells in table:
        if cells:
            check_width(cells, header, f'{name}, line {line:,}', delimiter)
        if not cells or not cells[index].strip():
            empty += 1
            continue
        if label_column and not cells[label_index].strip():
            raise UserError(f'{name}, line {line}: there is no {label_column}')
        rows.append(line)
        for i, values in zip((index, label_index, *indices), columns, strict=True):
            values.append(cells[i])
    notes = (f'{counted(empty, "empty item")} left out',) if empty else ()
    texts, labels, *given = columns
    items = Items(texts, np.array(rows, np.int64), labels if label_column else None, notes)
    given = dict(zip(condition, given, strict=True))
    return _checked(items._replace(condition=given or None), name)


def _index_of(column: str, header: Sequence[str], name: str, field: str) -> int:
    if not column and len(header) == 1:
        return 0
    if header.count(column) == 1:
        return header.index(column)
    if not column:
        columns = _columns(header)
        raise UserError(f'{name} has the columns {columns}: set config.data.{field} to one of them')
    count = header.count(column)
    fault = f'{count} columns of this name' if count else 'no such column'
    hint = '' if count else did_you_mean(column, header)
    raise UserError(
        f'config.data.{field}={shortened(column)}: {name} has {fault}{hint}: it has '
        f'{_columns(header)}'
    )


def _columns(header: Sequence[str]) -> str:
    return listed([shortened(each) for each in header], MAX_SHOWN)


def without_empty(items: Items) -> Items:
    """Returns the items that are more than white space; a note counts the others."""
    is_kept = np.array([bool(text) and not text.isspace() for text in items.texts], bool)
    count = int(np.sum(~is_kept))
    if not count:
        return items
    note = f'{counted(count, "empty item")} left out'
    return items.at(np.flatnonzero(is_kept))._replace(notes=(*items.notes, note))


def _checked(items: Items, name: str) -> Items:
    if not items.texts:
        raise UserError(f'{name} has no items: {"; ".join(items.notes) or "it is empty"}')
    count = sum(text[0].isspace() or text[-1].isspace() for text in items.texts)
    if not count:
        return items
    note = f'{counted(count, "item")} with spaces at the ends, which are kept'
    return items._replace(notes=(*items.notes, note))
