"""Numbers that modes wrote beside their pictures, as JSON files in a run's `applications`."""

import pathlib
from collections.abc import Iterator
from typing import Any

from atelier import files
from atelier.errors import UserError
from atelier.report.metrics_log import is_number, plus_minus
from atelier.report.page.html import Html, folded, note, table
from atelier.report.page.page import Limits

MAX_FILES = 20
MAX_ROWS = 40  # of a file
MAX_LISTED = 8  # values of a list


def numbers_of_modes(folder: pathlib.Path, limits: Limits) -> list[Html]:
    """Returns a folded table for each file; a file that cannot be read has a remark instead."""
    paths = sorted((folder / 'applications').glob('*.json'))
    most = min(MAX_ROWS, limits.rows)
    tables = [
        folded(path.stem[:100], _table(path, most)) for path in paths[: min(MAX_FILES, limits.rows)]
    ]
    more = len(paths) - len(tables)
    return [*tables, note(f'{more:,} more left out')] if more > 0 else tables


def _table(path: pathlib.Path, most: int) -> Html:
    try:
        content = files.read_json(path)
    except (OSError, ValueError, UserError) as error:
        return note(str(error))
    return table(['', 'value'], _rows(content), most, 'value')


def _rows(content: dict[str, Any], prefix: str = '') -> Iterator[list[str]]:
    """Yields the name and the value of each field; a mean stands with its standard error."""
    for name, value in content.items():
        if isinstance(value, dict) and {*value} == {'mean', 'standard_error'}:
            yield [f'{prefix}{name}', _with_error(value['mean'], value['standard_error'])]
        elif isinstance(value, dict):
            yield from _rows(value, f'{prefix}{name}, ')
        elif isinstance(value, list):
            more = ' ...' if len(value) > MAX_LISTED else ''
            yield [f'{prefix}{name}', ', '.join(map(_shown, value[:MAX_LISTED])) + more]
        else:
            yield [f'{prefix}{name}', _shown(value)]


def _with_error(mean: Any, error: Any) -> str:
    if is_number(mean) and is_number(error):
        return plus_minus(mean, error).replace('+-', '±')
    return str(mean)


def _shown(value: Any) -> str:
    return plus_minus(value) if value is None or isinstance(value, float) else str(value)
