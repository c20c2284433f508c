"""docs/results.md from its template: prose with `<!-- table: SECTION -->` and `{{ ROW.VALUE }}`.

`{{ vae-digits.NLL }}` is mean and spread, `{{ vae-digits.NLL.mean }}` the mean alone, and
`{{ vae-digits@gpu.NLL }}` the value on another kind of machine than a CPU.
"""

import pathlib
import re
from collections.abc import Mapping

from atelier import checkout
from atelier.errors import UserError
from atelier.files import write_text
from benchmarks.reference import tables
from benchmarks.reference.results import Result
from benchmarks.reference.rows import Row

TEMPLATE = pathlib.Path(__file__).parent / 'pages' / 'results.md'
PAGE = checkout.ROOT / 'docs' / 'results.md'
TABLE = re.compile(r'^<!-- table: ([\w -]+) -->$', re.MULTILINE)
VALUE = re.compile(r'\{\{ ([\w-]+)(?:@(\w+))?\.([^{}.]+?)(\.mean)? \}\}')
FIRST = (
    '<!-- Made by `python -m benchmarks.reference --pages` from '
    'benchmarks/reference/pages/results.md: change that file. -->\n'
)


def write(rows: Mapping[str, Row], found: Mapping[str, Mapping[str, Result]]) -> None:
    """Writes the page; raises UserError as `filled`, or if it cannot be written."""
    write_text(PAGE, filled(TEMPLATE.read_text(), rows, found))


def filled(
    template: str, rows: Mapping[str, Row], found: Mapping[str, Mapping[str, Result]]
) -> str:
    """Returns the page.

    Raises:
      UserError: the template names a section, a row or a value that does not exist, or leaves out a
        section of the rows.
    """

    def table(match: re.Match) -> str:
        try:
            return tables.section(match.group(1), rows, found)
        except ValueError as error:
            raise UserError(f'{TEMPLATE.name}: {error}') from error

    def value(match: re.Match) -> str:
        name, kind, value_name, is_mean = match.groups()
        if name not in rows or value_name not in rows[name].values:
            raise UserError(f'{TEMPLATE.name}: {match.group()} names no value of a row')
        result = found.get(name, {}).get(kind or 'cpu')
        if result is None or result.is_stale:
            earlier = '' if kind else rows[name].earlier.get(value_name, '')
            return f'{earlier} (before rows existed)' if earlier else tables.NOT_MEASURED
        measured = result.values[value_name]
        shown = measured._replace(sd=None, error=None) if is_mean else measured
        return tables.as_markdown(tables.number(shown))

    left_out = {row.section for row in rows.values()} - {*TABLE.findall(template)}
    if left_out:
        raise UserError(f'{TEMPLATE.name} leaves out the tables {", ".join(sorted(left_out))}')
    return FIRST + VALUE.sub(value, TABLE.sub(table, template))
