"""Writes measured rows into a table of a page of docs/, between two comments that name the table.

<!-- kills -->
| command | kill | ... |
|---|---|
<!-- end of kills -->
"""

import pathlib
import re
from collections.abc import Mapping, Sequence

from absl import flags

flags.DEFINE_string('page', '', 'page of docs/ whose table gets the results')

NOT_MEASURED = 'not measured yet'  # a cell of rows that the first measured rows replace


def write_rows(table: str, rows: Mapping[str, Sequence[str]]) -> None:
    """Adds rows, {first cell: the other cells}, to a table of the page that --page names, if any.

    Rows with the same first cell are replaced.

    Raises:
      ValueError: the page has no such table.
    """
    if flags.FLAGS.page:
        page = pathlib.Path(flags.FLAGS.page)
        page.write_text(with_rows(page.read_text(), table, rows))


def with_rows(text: str, table: str, rows: Mapping[str, Sequence[str]]) -> str:
    """Returns the text of a page with these rows in the table (see `write_rows`)."""
    between = re.compile(f'(<!-- {table} -->\n)(.*?)(<!-- end of {table} -->)', re.DOTALL)
    match = between.search(text)
    if match is None:
        raise ValueError(f'the page has no table between comments {table!r}')
    header, rule, *lines = match.group(2).splitlines()
    kept = {_first_cell(line): line for line in lines if NOT_MEASURED not in line}
    kept |= {name: f'| {" | ".join([name, *cells])} |' for name, cells in rows.items()}
    body = '\n'.join([header, rule, *kept.values()]) + '\n'
    return text[: match.start()] + match.group(1) + body + match.group(3) + text[match.end() :]


def _first_cell(line: str) -> str:
    return line.split('|')[1].strip()
