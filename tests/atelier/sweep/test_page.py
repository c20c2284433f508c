"""The page of a sweep: settings and members, best first; unfinished and damaged sweeps."""

import html
import json
import re

import browser
import pytest
from reported_runs import reported_run, write_log, write_picture
from support import recipe_and_config

from atelier.report.page.page import MAX_BYTES
from atelier.sweep import folder as sweep_folder
from atelier.sweep.known import read_results
from atelier.sweep.page import write_page_of_sweep

AXES = ['hypers.beta=0.5,2', 'seed=0:2']
HEADER = 'member,hypers.beta,seed,status,step,elbo_nats'
ROWS = [
    'beta-0.5_seed-0,0.5,0,finished,60,-95.0',
    'beta-0.5_seed-1,0.5,1,finished,60,-97.0',
    'beta-2.0_seed-0,2.0,0,finished,60,-90.0',
    'beta-2.0_seed-1,2.0,1,failed,10,',
]


@pytest.fixture
def bare(tmp_path):
    """Writes a sweep without members; returns its folder."""
    folder = tmp_path / 'sweep'
    config_file, config = recipe_and_config('digits,debug')
    sweep_folder.write(folder, sweep_folder.record_of(config_file, config, AXES, 0, None))
    return folder


@pytest.fixture
def sweep(bare):
    """Writes a sweep of four members without training; returns its folder."""
    folder = bare
    for row in ROWS:
        name, beta, seed = row.split(',')[:3]
        reported_run(folder / name, hypers__beta=float(beta), seed=int(seed))
        write_log(folder / name, {'valid/elbo_nats': lambda s, b=float(beta): -b * s})
    (folder / 'sweep.csv').write_text('\n'.join([HEADER, *ROWS]) + '\n')
    return folder


def page_of(folder):
    path, size = write_page_of_sweep(str(folder))
    assert path == folder / 'report.html' and size == path.stat().st_size <= MAX_BYTES
    return path.read_text()


def rows_of(page):
    rows = re.findall(r'<tr>(.*?)</tr>', page, re.DOTALL)
    cells = [re.findall(r'<t[hd][^>]*>(.*?)</t[hd]>', row, re.DOTALL) for row in rows]
    return [[html.unescape(re.sub('<[^>]+>', '', cell)) for cell in row] for row in cells]


def test_settings_and_members_are_listed_best_first(sweep):
    page = page_of(sweep)
    rows = rows_of(page)
    header = rows.index(['hypers.beta', 'elbo_nats, validation', 'members', ''])
    assert rows[header + 1] == ['2.0', '-90.00', '1', '1 failed']
    assert rows[header + 2] == ['0.5', '-96.0 ± 1.4', '2', '']
    members = [row[0] for row in rows if row[0].startswith('beta-') and len(row) == 6]
    assert members == [row.split(',')[0] for row in (*ROWS[2:], *ROWS[:2])]
    assert '3 finished, 1 failed' in page
    command = html.unescape(re.sub('<[^>]+>', '', re.search('<pre.*?</pre>', page)[0]))
    assert f'--mode=sweep --config=configs/vae.py:digits,debug --sweep={AXES[0]}' in command


def test_seeds_of_a_setting_share_a_colour_and_a_picture(sweep):
    page = page_of(sweep)
    (elbo,) = json.loads(re.search(r'id="charts">(.*?)</script>', page)[1])
    colours = {line['name']: line['colour'] for line in elbo['lines']}
    assert colours == {'beta-2.0_seed-0': 0, 'beta-2.0_seed-1': 0} | {
        'beta-0.5_seed-0': 1,
        'beta-0.5_seed-1': 1,
    }
    assert page.count('src="data:image/') == 2


def test_figures_of_the_sweep_are_shown_and_links_are_not_followed(sweep, tmp_path):
    write_picture(tmp_path / 'elsewhere.png', 5)
    for name in ('sweep', 'reconstructions'):
        write_picture(sweep / f'{name}.png', 1)
    (sweep / 'link.png').symlink_to(tmp_path / 'elsewhere.png')
    page = page_of(sweep)
    assert page.count('src="data:image/') == 2 + 2
    assert page.index('alt="sweep"') < page.index('alt="reconstructions"')
    assert 'link' not in re.findall('alt="([^"]*)"', page)


def test_a_sweep_that_has_hardly_begun_has_a_page(bare):
    page = page_of(bare)
    assert 'There is no sweep.csv' in page and 'none has finished' in page


@pytest.mark.parametrize(
    ('text', 'problem'),
    [
        ('member,seed\na,1\n', 'it has no column hypers.beta'),
        (f'{HEADER}\na,b\n', 'its rows have different lengths'),
        (f'{HEADER}\na,0.5,0,finished,60,<b>\n', 'could not convert'),
        (f'{HEADER}\n"a', 'unexpected end of data'),
        ('\udcff', "can't decode"),
    ],
    ids=['columns', 'lengths', 'numbers', 'quotes', 'bytes'],
)
def test_a_damaged_table_is_refused(bare, complaint, text, problem):
    (bare / 'sweep.csv').write_bytes(text.encode(errors='surrogateescape'))
    message = complaint(write_page_of_sweep, str(bare))
    assert 'sweep.csv is damaged' in message and problem in message
    assert f'--mode=sweep --workdir={bare} writes it again' in message


@pytest.mark.parametrize(
    'train', [{'best_mode': 'odd'}, {'best_metric': 'member'}, {'best_metric': 'seed'}]
)
def test_a_metric_that_there_cannot_be_is_refused(bare, complaint, train):
    record = sweep_folder.load(bare)
    record['values']['train'] |= train
    sweep_folder.write(bare, record)
    (bare / 'sweep.csv').write_text('\n'.join([HEADER, *ROWS]) + '\n')
    message = complaint(write_page_of_sweep, str(bare))
    assert 'sweep.json is damaged' in message and 'best_metric' in message


def test_a_config_without_a_metric_has_a_page(bare):
    record = sweep_folder.load(bare)
    for name in ('best_metric', 'best_mode'):
        del record['values']['train'][name]
    sweep_folder.write(bare, record)
    (bare / 'sweep.csv').write_text('\n'.join([HEADER, *ROWS]) + '\n')
    assert '-90.00' in page_of(bare)


def test_texts_of_a_strangers_table_stay_texts(sweep):
    evil = '</script><script>alert(1)</script>'
    row = f'{evil},{evil},{evil},{evil},{evil},nan'
    (sweep / 'sweep.csv').write_text(f'{HEADER},{evil}\n' + f'{row},1.5\n' * 3)
    page = page_of(sweep)
    assert page.count('<script') == 3 and 'alert(1)</script>' not in page
    results = read_results(sweep, sweep_folder.load(sweep))
    assert results.rows[0]['elbo_nats'] is None and results.rows[0][evil] == 1.5


def test_a_browser_shows_the_page_on_a_phone(sweep):
    page_of(sweep)
    with browser.started() as chromium:
        opened = chromium.open(sweep / 'report.html', 390)
        opened.wait_for("document.documentElement.dataset.drawn === '1'")
        assert opened.problems() == []
        assert opened.requests() == [(sweep / 'report.html').as_uri()]
        assert opened.value('document.documentElement.scrollWidth') == 390
