"""Puts a page together: its head, which forbids every request, its sections and its script."""

import base64
import hashlib
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from atelier import files
from atelier.errors import UserError
from atelier.report.page import charts as charts_lib
from atelier.report.page.charts import Chart
from atelier.report.page.html import Html, element, joined, json_for_script, text_of
from atelier.report.page.pictures import Pictures

FOLDER = pathlib.Path(__file__).parent
THIRD_PARTY = FOLDER.parent / 'third_party'
MAX_BYTES = 2_000_000  # of a page
MAX_WITHOUT_PICTURES = 1_300_000  # of its bytes; a page with longer tables has shorter ones
MARGIN = 20_000  # bytes left for the names of pictures that are left out


class Limits(NamedTuple):
    """What a page shows at most.

    rows: of a table.
    charts: in a section.
    lines: in a chart.
    points: of all lines together, about.
    """

    rows: int = 200
    charts: int = 24
    lines: int = 24
    points: int = 24_000


# for a page that is too long within the first limits, the next ones hold
LIMITS = (Limits(), Limits(100, 20, 16, 16_000), Limits(40, 12, 12, 8_000), Limits(12, 6, 8, 3_000))


class Section(NamedTuple):
    """A part of a page, with a title that the list of contents has."""

    id: str
    title: str
    body: Html


class Page(NamedTuple):
    """What a page shows.

    title: of the page.
    lead: a line below it.
    sections: in their order.
    charts: those that `charts.places` has places for.
    """

    title: str
    lead: Any
    sections: Sequence[Section]
    charts: Sequence[Chart] = ()


def write(path: pathlib.Path, compose: Callable[[Limits, Pictures], Page]) -> int:
    """Writes a page whose size is at most `MAX_BYTES`; returns its bytes.

    Args:
      path: of the file.
      compose: returns the page within limits, with pictures as far as their bytes allow. It is
        called several times.

    Raises:
      UserError: the file cannot be written, or the page is too large within the smallest limits.
    """
    raw = b''
    for limits in LIMITS:
        raw = rendered(compose(limits, Pictures(0)), limits).encode()
        if len(raw) <= MAX_WITHOUT_PICTURES:
            pictures = Pictures(MAX_BYTES - MARGIN - len(raw))
            raw = rendered(compose(limits, pictures), limits).encode()
            break
    if len(raw) > MAX_BYTES:
        raise UserError(f'the page would have {len(raw):,} bytes, more than {MAX_BYTES:,}')
    with files.whole(path) as file:
        file.write(raw)
    return len(raw)


def rendered(page: Page, limits: Limits) -> str:
    """Returns the HTML of a page."""
    library = (THIRD_PARTY / 'uPlot.iife.min.js').read_text().strip()
    licence = (THIRD_PARTY / 'uPlot.LICENSE').read_text().strip()
    scripts = [f'/*!\n{licence}\n*/\n{library}', (FOLDER / 'script.js').read_text()]
    styles = [(THIRD_PARTY / 'uPlot.min.css').read_text(), (FOLDER / 'style.css').read_text()]
    drawn = scripts if page.charts else []
    data = json_for_script(charts_lib.for_script(page.charts, limits.points))
    whole = joined(
        [
            Html('<!DOCTYPE html>\n'),
            element(
                'html',
                _head(page.title, drawn, styles),
                element(
                    'body',
                    _header(page),
                    element('main', *map(_section, page.sections)),
                    _footer(),
                    element('script', data, type='application/json', id='charts') if drawn else '',
                    *(element('script', Html(script)) for script in drawn),
                ),
                lang='en',
            ),
            Html('\n'),
        ]
    )
    return str(whole)


def _head(title: str, scripts: Sequence[str], styles: Sequence[str]) -> Html:
    """Returns the head. Its policy allows no request, and no script but those of this page."""
    policy = (
        f"default-src 'none'; img-src data:; script-src {_hashes(scripts)}; "
        f"style-src {_hashes(styles)}; base-uri 'none'; form-action 'none'"
    )
    return element(
        'head',
        element('meta', charset='utf-8'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        element('meta', name='viewport', content='width=device-width, initial-scale=1'),
        element('meta', name='referrer', content='no-referrer'),
        element('title', text_of(title, 100)),
        *(element('style', Html(style)) for style in styles),
    )


def _hashes(texts: Sequence[str]) -> str:
    digests = (hashlib.sha256(text.encode()).digest() for text in texts)
    return ' '.join(f"'sha256-{base64.b64encode(each).decode()}'" for each in digests) or "'none'"


def _header(page: Page) -> Html:
    links = [element('a', section.title, href=f'#{section.id}') for section in page.sections]
    return element(
        'header',
        element('h1', text_of(page.title, 120)),
        element('p', page.lead, class_='lead'),
        element('nav', *links, aria_label='contents'),
    )


def _section(section: Section) -> Html:
    return element('section', element('h2', section.title), section.body, id=section.id)


def _footer() -> Html:
    now = time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())
    return element('footer', f'Written by Atelier (--mode=report) on {now}. Curves: uPlot 1.6.32.')
