"""Tables as texts: rows of cells, with the line on which each row begins."""

import csv
from collections.abc import Iterable, Iterator, Sequence

from atelier.errors import UserError
from atelier.log import counted


def rows_of(
    lines: Iterable[str], owner: object, delimiter: str = ','
) -> Iterator[tuple[int, list[str]]]:
    """Yields the number of the first line, and the cells, of each row.

    Args:
      lines: of the table, with their ends.
      owner: what the table is called in a message.
      delimiter: between two cells.

    Raises:
      UserError: quotes are not closed or wrong.
    """
    reader, line = csv.reader(lines, delimiter=delimiter, strict=True), 1
    try:
        for cells in reader:
            yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f'{owner}, line {line:,}: {error}') from error


def check_width(
    cells: Sequence[str], header: Sequence[str], place: str, delimiter: str = ','
) -> None:
    """Checks that a row has as many cells as the header.

    Raises:
      UserError: it has more or fewer; the message begins with `place`.
    """
    if len(cells) != len(header):
        raise UserError(
            f'{place}: it has {counted(len(cells), "cell")}, the first line {len(header)}: put '
            f'cells that have {delimiter!r} in them into quotes'
        )
