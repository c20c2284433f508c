"""Builds HTML in which every text is escaped and bounded: texts of a run may be a stranger's."""

import html
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from atelier.errors import shortened_text
from atelier.log import counted, escaped

MAX_LETTERS = 2_000  # of one text
VOID = ('img', 'input', 'meta')  # elements that have no end
NUMBER = re.compile(r'[+-]?(\d[\d,]*)?\.?\d+(e[+-]?\d+)?( (\+-|±) .*)?|-|')  # or nothing


class Html(str):
    """A text that is HTML already; any other text is escaped before it stands on a page."""


def text_of(value: Any, longest: int = MAX_LETTERS) -> Html:
    """Returns a value as escaped text: shortened, and without characters that do not print."""
    if isinstance(value, Html):
        return value
    text = shortened_text(str(value), longest)
    return Html(html.escape(text if text.isprintable() else escaped(text, keep='\n\t')))


def element(name: str, /, *children: Any, **attributes: Any) -> Html:
    """Returns an element.

    Args:
      name: of the element.
      children: elements and texts; None is left out.
      attributes: by name, as in `class_='wide'` or `data_chart=3`. True stands for an attribute
        without a value; None and False leave it out.
    """
    written = ''.join(
        f' {key.rstrip("_").replace("_", "-")}' + ('' if value is True else f'="{_quoted(value)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in VOID:
        return Html(f'<{name}{written}>')
    inside = ''.join(text_of(child) for child in children if child is not None)
    return Html(f'<{name}{written}>{inside}</{name}>')


def _quoted(value: Any) -> str:
    if isinstance(value, Html):
        return value
    return html.escape(escaped(str(value)))


def joined(parts: Iterable[Any]) -> Html:
    """Returns elements and texts, one after the other."""
    return Html(''.join(text_of(part) for part in parts if part is not None))


def table(
    header: Sequence[Any],
    rows: Iterable[Sequence[Any]],
    most: int,
    noun: str = 'row',
    longest: int = 160,
    **attributes: Any,
) -> Html:
    """Returns a table that scrolls sideways if it is wide. Columns of numbers stand to the right.

    Args:
      header: a text a column.
      rows: a text or an element a column; the first names the row.
      most: rows that are shown; the number of the others stands below the table.
      noun: what a row is, for that number.
      longest: characters of a cell.
      attributes: of the table.
    """
    rows = [*rows]
    shown = [[text_of(cell, longest) for cell in row] for row in rows[:most]]
    more = len(rows) - most
    is_number = [all(NUMBER.fullmatch(row[i]) for row in shown) for i in range(len(header))]
    kinds = ['number' if i and column else None for i, column in enumerate(is_number)]
    head = element('tr', *map(_header_cell, header, kinds))
    body = [
        element(
            'tr',
            element('th', first, scope='row'),
            *(element('td', cell, class_=kind) for cell, kind in zip(rest, kinds[1:], strict=True)),
        )
        for first, *rest in shown
    ]
    drawn = element('table', element('thead', head), element('tbody', *body), **attributes)
    left_out = element('p', f'{counted(more, f"more {noun}")} left out', class_='note')
    scrolling = element('div', drawn, class_='scroll', tabindex=0)
    return joined([scrolling, left_out if more > 0 else None])


def _header_cell(title: Any, kind: str | None) -> Html:
    return element('th', text_of(title, 120), scope='col', class_=kind)


def facts(rows: Iterable[tuple[Any, Any]]) -> Html:
    """Returns a list of names and what they are."""
    pairs = [joined([element('dt', name), element('dd', value)]) for name, value in rows]
    return element('dl', *pairs, class_='facts')


def note(*texts: Any, is_of_screen: bool = False) -> Html:
    """Returns a remark; `is_of_screen` leaves it out of the printed page."""
    return element('p', *texts, class_='note screen' if is_of_screen else 'note')


def command(text: str) -> Html:
    """Returns a command to be copied; a line of it is broken between words."""
    words = [element('span', word) if word.strip() else word for word in re.split('( +|\n)', text)]
    return element('pre', element('code', *words), class_='command')


def folded(title: Any, *children: Any) -> Html:
    """Returns a part that opens when its title is clicked; it is printed open."""
    return element('details', element('summary', title), *children)


def json_for_script(value: Any) -> Html:
    """Returns JSON that no browser reads as the end of a script or as HTML."""
    text = json.dumps(value, allow_nan=False, separators=(',', ':'), ensure_ascii=True)
    for letter in '<>&':
        text = text.replace(letter, f'\\u{ord(letter):04x}')
    return Html(text)
