"""A page: its size, its policy, the code of others in it, and what a browser makes of it."""

import base64
import hashlib
import re

import browser
import numpy as np
import pytest

from atelier.errors import UserError
from atelier.report import figures
from atelier.report.page import page
from atelier.report.page.charts import Chart, Line, places
from atelier.report.page.html import command, element, joined, note, table
from atelier.report.page.page import Limits, Page, Section
from atelier.report.page.pictures import Pictures

EVIL = '</script><script>alert(1)</script><img src=x onerror=alert(2)>'


def chart(title='loss', num_lines=2, n=100):
    steps = np.arange(n, dtype=np.float64)
    values = [np.exp(-steps / 30) + i for i in range(num_lines)]
    lines = [Line(f'{title} {i}', np.stack([steps, v], 1), colour=i) for i, v in enumerate(values)]
    return Chart(title, tuple(lines))


def an_example(charts, text='text'):
    long = 'word' * 60
    body = joined(
        [
            note(text),
            command(f'{text} {long}'),
            places(charts),
            element('pre', long),
            element('h3', long),
        ]
    )
    wide = table([str(i) for i in range(30)], [['123456'] * 30], 5)
    sections = [Section('first', text, body), Section('second', 'Tables', wide)]
    return Page(text, text, sections, charts)


def written(tmp_path, made, name='report.html'):
    path = tmp_path / name
    size = page.write(path, lambda limits, pictures: made)
    assert size == path.stat().st_size
    return path


def test_the_policy_allows_no_request_and_only_the_scripts_of_the_page(tmp_path):
    text = written(tmp_path, an_example([chart()])).read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    rules = dict(rule.strip().split(' ', 1) for rule in policy.split(';'))
    assert rules['default-src'] == "'none'" and rules['img-src'] == 'data:'
    assert rules['base-uri'] == rules['form-action'] == "'none'"
    for tag in ('script', 'style'):
        inside = re.findall(rf'<{tag}>(.*?)</{tag}>', text, re.DOTALL)
        digests = [hashlib.sha256(each.encode()).digest() for each in inside]
        expected = [f"'sha256-{base64.b64encode(each).decode()}'" for each in digests]
        assert rules[f'{tag}-src'].split() == expected and len(expected) == 2
    assert "'unsafe" not in policy and '\r' not in text


def test_a_page_without_charts_has_no_script(tmp_path):
    text = written(tmp_path, an_example([])).read_text()
    assert '<script' not in text and "script-src 'none'" in text


def test_a_page_is_at_most_two_megabytes(tmp_path):
    """Longer tables are cut; what cannot be cut is refused."""
    tried = []

    def compose(limits, pictures):
        tried.append(limits)
        rows = [['x' * 150] * 60] * 1_000
        return Page('a', 'b', [Section('c', 'd', table(['n'] * 60, rows, limits.rows))])

    assert page.write(tmp_path / 'report.html', compose) <= page.MAX_BYTES
    assert len({*tried}) > 1 and tried[-1].rows < Limits().rows
    too_long = Page('a', 'b', [Section('c', 'd', element('p', *(['x' * 1_000] * 3_000)))])
    with pytest.raises(UserError, match='more than 2,000,000'):
        page.write(tmp_path / 'other.html', lambda limits, pictures: too_long)
    assert not (tmp_path / 'other.html').exists()


def test_the_code_of_others_is_that_of_its_release():
    """Each file of the folder is listed in its README, with its checksum."""
    readme = (page.THIRD_PARTY / 'README.md').read_text()
    listed = dict(re.findall(r'^\| `([\w.]+)` \| `([0-9a-f]{64})` \|$', readme, re.MULTILINE))
    files = {path.name: path.read_bytes() for path in page.THIRD_PARTY.iterdir()}
    del files['README.md']
    assert listed == {name: hashlib.sha256(raw).hexdigest() for name, raw in files.items()}
    assert b'(v1.6.32)' in files['uPlot.iife.min.js'] and 'version | 1.6.32' in readme
    assert b'MIT License' in files['uPlot.LICENSE']


def test_the_licence_travels_with_the_code(tmp_path):
    text = written(tmp_path, an_example([chart()])).read_text()
    assert (page.THIRD_PARTY / 'uPlot.LICENSE').read_text().strip() in text


def test_the_colours_of_curves_are_those_of_figures():
    """But for yellow, which is darker: lines are thin, and the page is white."""
    style = (page.FOLDER / 'style.css').read_text()
    colours = dict(re.findall(r'--c(\d): (#\w{6})', style.partition('@media')[0]))
    assert [colours[str(i)].upper() for i in range(7)] == [*figures.COLOURS[:7]]


# In a browser


@pytest.fixture(scope='module')
def chromium():
    with browser.started() as started:
        yield started


def drawn(page_open, num_charts):
    page_open.wait_for(f"document.documentElement.dataset.drawn === '{num_charts}'")


def is_coloured(picture, colour, at_least=30):
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int(np.sum(np.abs(picture.astype(int) - rgb).max(-1) < 30)) >= at_least


def test_curves_are_drawn_without_an_error_and_without_a_request(tmp_path, chromium):
    path = written(tmp_path, an_example([chart(), chart('kl', 3)]))
    opened = chromium.open(path)
    drawn(opened, 2)
    assert opened.problems() == []
    assert opened.requests() == [path.as_uri()]
    assert opened.value("document.querySelectorAll('canvas').length") == 2
    picture = opened.screenshot()
    assert all(is_coloured(picture, colour) for colour in figures.COLOURS[:3])
    assert not is_coloured(picture, figures.COLOURS[4])


def test_the_legend_has_the_last_values(tmp_path, chromium):
    steps = np.arange(5, dtype=np.float64)
    short = Line('b', np.array([[0, 1.0], [3, 0.25]]))
    opened = chromium.open(
        written(
            tmp_path, an_example([Chart('a', (Line('a', np.stack([steps, -steps], 1)), short))])
        )
    )
    drawn(opened, 1)
    legend = opened.value("document.querySelector('.u-legend').innerText")
    assert legend == 'step4a-4b0.25'


def test_a_phone_scrolls_only_downwards(tmp_path, chromium):
    """Wide tables scroll in a box of their own."""
    opened = chromium.open(written(tmp_path, an_example([chart()])), 390, 844)
    drawn(opened, 1)
    assert opened.value('document.documentElement.scrollWidth') == 390
    assert opened.value("document.querySelector('.scroll').scrollWidth") > 390
    assert opened.value("document.querySelector('canvas').getBoundingClientRect().right") <= 390


def test_a_tap_shows_a_wide_picture_at_full_size(tmp_path, chromium):
    """In a box of its own, which scrolls; another tap shows all of it again."""
    figures.save_picture(tmp_path / 'a.png', np.zeros((50, 1000, 1), np.uint8))
    body = Pictures(10**6).figure(tmp_path / 'a.png', 'a')
    path = written(tmp_path, Page('a', 'b', [Section('c', 'd', body)]))
    opened = chromium.open(path, 390, 844)
    width = lambda: opened.value("document.querySelector('img').getBoundingClientRect().width")
    assert width() < 390
    opened.value("document.querySelector('img').click()")
    assert width() == 1000
    assert opened.value("document.querySelector('.frame').scrollWidth") == 1000
    assert opened.value('document.documentElement.scrollWidth') == 390
    opened.value("document.querySelector('img').click()")
    assert width() < 390 and opened.problems() == []


def test_dark_pages_are_dark_and_legible(tmp_path, chromium):
    path = written(tmp_path, an_example([chart()]))
    light, dark = (chromium.open(path, prefers_color_scheme=scheme) for scheme in ('light', 'dark'))
    for opened, is_dark in ((light, False), (dark, True)):
        drawn(opened, 1)
        picture = opened.screenshot()
        assert (np.median(picture) < 60) == is_dark
        colour = opened.value('getComputedStyle(document.body).color')
        text = np.mean([int(part) for part in re.findall(r'\d+', colour)])
        assert (text > 200) == is_dark and (text < 60) != is_dark
    assert dark.problems() == []


def test_the_logarithmic_choice_draws_again(tmp_path, chromium):
    opened = chromium.open(written(tmp_path, an_example_with_choice()))
    drawn(opened, 1)
    before = opened.value("document.querySelector('canvas').toDataURL()")
    opened.value("document.getElementById('logarithmic').click()")
    drawn(opened, 1)
    assert opened.value("document.querySelector('canvas').toDataURL()") != before
    assert opened.problems() == []


def an_example_with_choice():
    charts = [chart()]
    choice = element('label', element('input', type='checkbox', id='logarithmic'), class_='choices')
    return Page('a', 'b', [Section('c', 'd', joined([choice, places(charts)]))], charts)


def test_a_page_prints(tmp_path, chromium):
    opened = chromium.open(written(tmp_path, an_example([chart()])))
    drawn(opened, 1)
    assert opened.pdf().startswith(b'%PDF')
    assert opened.problems() == []
    assert opened.value("'print' in document.documentElement.dataset") is False  # as before


def test_hostile_texts_run_no_script(tmp_path, chromium):
    charts = [chart(EVIL), Chart('"\'><b>', (Line(EVIL, np.array([[0, np.nan], [1, 2e300]])),))]
    path = written(tmp_path, an_example(charts, EVIL))
    opened = chromium.open(path)
    drawn(opened, 2)
    assert opened.problems() == []
    assert opened.requests() == [path.as_uri()]
    assert opened.value("document.querySelectorAll('img, iframe, object').length") == 0
    assert opened.value("document.querySelectorAll('script').length") == 3
    assert opened.value("document.querySelector('h1').textContent").startswith('</script><script>')


def test_the_policy_stops_a_script_that_is_not_of_the_page(tmp_path, chromium):
    """As if escaping had failed: the browser refuses the script, the handler and the request."""
    path = written(tmp_path, an_example([chart()]))
    bad = '<script>document.title = 1</script>'
    bad += '<img src="https://a.test/x" onerror="document.title = 2">'
    path.write_text(path.read_text().replace('<main>', f'<main>{bad}'))
    opened = chromium.open(path)
    drawn(opened, 1)
    assert opened.value('document.title') == 'text'
    assert len(opened.problems()) >= 2
    assert [url for url in opened.requests() if 'a.test' in url] == []
