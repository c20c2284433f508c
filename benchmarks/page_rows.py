"""Writes measured rows into a table of a page of docs/, between two comments that name the table.

<!-- kills -->
| command | kill | ... |
|---|---|
<!-- end of kills -->
"""

import pathlib
import re
from collections.abc import Container, Mapping, Sequence

from absl import flags

flags.DEFINE_string('page', '', 'page of docs/ whose table gets the results')

NOT_MEASURED = 'not measured yet'  # a cell of rows that the first measured rows replace
BAR = re.compile(r'(?<!\\)\|')  # between two cells; a bar in a cell has a backslash before it


def write_rows(
    table: str, rows: Mapping[str, Sequence[str]], known: Container[str] | None = None
) -> None:
    """Adds rows, {first cell: the other cells}, to a table of the page that --page names, if any.

    Rows with the same first cell are replaced. `known` are the first cells of all rows that there
    are: others, which were measured with earlier settings, are removed. None: they stay.

    Raises:
      ValueError: the page has no such table.
    """
    if flags.FLAGS.page:
        page = pathlib.Path(flags.FLAGS.page)
        page.write_text(with_rows(page.read_text(), table, rows, known))


def with_rows(
    text: str,
    table: str,
    rows: Mapping[str, Sequence[str]],
    known: Container[str] | None = None,
) -> str:
    """Returns the text of a page with these rows in the table (see `write_rows`)."""
    between = re.compile(f'(<!-- {table} -->\n)(.*?)(<!-- end of {table} -->)', re.DOTALL)
    match = between.search(text)
    if match is None:
        raise ValueError(f'the page has no table between comments {table!r}')
    header, rule, *lines = match.group(2).splitlines()
    named = {_first_cell(line): line for line in lines if NOT_MEASURED not in line}
    kept = {name: line for name, line in named.items() if known is None or name in known}
    kept |= {name: _line([name, *cells]) for name, cells in rows.items()}
    body = '\n'.join([header, rule, *kept.values()]) + '\n'
    return text[: match.start()] + match.group(1) + body + match.group(3) + text[match.end() :]


def _line(cells: Sequence[str]) -> str:
    escaped = (cell.replace('|', r'\|') for cell in cells)
    return f'| {" | ".join(escaped)} |'


def _first_cell(line: str) -> str:
    """Returns the first cell, as `with_rows` was given it."""
    return BAR.split(line)[1].strip().replace(r'\|', '|')
