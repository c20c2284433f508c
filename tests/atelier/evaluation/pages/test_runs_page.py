"""The page of several runs: the numbers of `--mode=compare`, curves and samples side by side."""

import html
import json
import re

import pytest
from reported_runs import reported_run, write_evaluation

from atelier.evaluation.pages import runs_page
from atelier.evaluation.pages.runs_page import write_page_of_runs
from atelier.report.page.page import MAX_BYTES


def page_of(folders, target):
    path, size = write_page_of_runs([str(folder) for folder in folders], target)
    assert path == target / 'report.html' and size == path.stat().st_size <= MAX_BYTES
    return path.read_text()


def rows_of(page):
    """The rows of all tables, as texts."""
    rows = re.findall(r'<tr>(.*?)</tr>', page, re.DOTALL)
    cells = [re.findall(r'<t[hd][^>]*>(.*?)</t[hd]>', row, re.DOTALL) for row in rows]
    return [[html.unescape(re.sub('<[^>]+>', '', cell)).strip() for cell in row] for row in cells]


def test_the_page_has_the_numbers_and_settings_of_all_runs(tmp_path):
    reported_run(tmp_path / 'a', 88.0)
    reported_run(tmp_path / 'b', 91.5, hypers__beta=4.0)
    page = page_of([tmp_path / 'a', tmp_path / 'b'], tmp_path / 'out')
    rows = rows_of(page)
    assert ['nll_nats', '88.00 ± 0.25', '91.50 ± 0.25'] in rows
    assert ['hypers.beta', '1.0', '4.0'] in rows
    assert ['', 'a', 'b'] in rows  # without the folder that both share
    assert 'seed' not in [row[0] for row in rows[: rows.index(['hypers.beta', '1.0', '4.0'])]]
    charts = json.loads(re.search(r'id="charts">(.*?)</script>', page)[1])
    elbo = next(chart for chart in charts if chart['title'] == 'elbo_nats, validation')
    assert [line['name'] for line in elbo['lines']] == ['a', 'b']
    assert [line['colour'] for line in elbo['lines']] == [0, 1]
    assert page.count('src="data:image/') == 2
    assert 'not comparable' not in page


def test_the_title_of_pictures_says_what_they_show(tmp_path):
    reported_run(tmp_path / 'a')
    reported_run(tmp_path / 'b')
    assert '<h3>Newest samples</h3>' in page_of([tmp_path / 'a', tmp_path / 'b'], tmp_path / 'out')
    for path in (tmp_path / 'b' / 'samples').iterdir():
        path.rename(path.with_name(path.name.replace('samples', 'reconstructions')))
    page = page_of([tmp_path / 'a', tmp_path / 'b'], tmp_path / 'out')
    assert '<h3>Newest pictures</h3>' in page


def test_what_is_not_comparable_is_said(tmp_path):
    reported_run(tmp_path / 'a')
    reported_run(tmp_path / 'b')
    write_evaluation(tmp_path / 'b', log_prob='exact', data={'description': 'mnist'})
    reported_run(tmp_path / 'c', nll=None)
    page = page_of([tmp_path / name for name in 'abc'], tmp_path / 'out')
    assert 'not comparable: the data differ (8x8 digits; mnist)' in html.unescape(page)
    assert 'not comparable: the kinds of log_prob differ' in page
    assert 'Without an evaluation: c' in page


def test_runs_that_no_page_can_have_are_refused(tmp_path, complaint, monkeypatch):
    reported_run(tmp_path / 'a')
    a, out = str(tmp_path / 'a'), tmp_path / 'out'
    assert '--mode=report needs --runs=RUN,RUN' in complaint(write_page_of_runs, [a], out)
    assert 'a run is listed twice' in complaint(write_page_of_runs, [a, f'{a}/'], out)
    assert 'b does not exist' in complaint(write_page_of_runs, [a, str(tmp_path / 'b')], out)
    monkeypatch.setattr(runs_page, 'MAX_RUNS', 1)
    message = complaint(write_page_of_runs, [a, str(tmp_path / 'b')], out)
    assert message == '--runs names 2 runs: a page has at most 1'
    assert not out.exists()


@pytest.mark.parametrize('name', ['<b>bold</b>', '"quoted" & <i>'])
def test_names_of_runs_stay_texts(tmp_path, name):
    (tmp_path / 'a').mkdir()
    for part in ('x', 'y'):
        reported_run(tmp_path / 'a' / f'{name.replace("/", "")} {part}')
    page = page_of(sorted((tmp_path / 'a').iterdir()), tmp_path / 'out')
    assert '<b>bold' not in page and '<i>' not in page
    assert f'{name.replace("/", "")} x' in [cell for row in rows_of(page) for cell in row]
