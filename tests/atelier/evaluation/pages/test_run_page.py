"""The page of a run: it says what the run's files say, whatever they hold."""

import base64
import html
import io
import json
import re
import shlex
from html.parser import HTMLParser

import browser
import numpy as np
import pytest
from PIL import Image
from reported_runs import reported_run, write_evaluation, write_log, write_picture

from atelier import applications, checkout, cli, files
from atelier.evaluation.pages import run_page
from atelier.report.page import page as page_lib
from atelier.run import run_folder

EVIL = '</script><img src=x onerror=alert(1)><script>alert(2)</script>'


class Elements(HTMLParser):
    """The elements and attributes that a browser finds."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs


def page_of(folder):
    path, size = run_page.write_page_of_run(str(folder), applications.origin_of)
    assert path == folder / 'report.html' and size == path.stat().st_size
    return path.read_text()


def text_of(page):
    """What a reader sees, without scripts and styles, on one line."""
    seen = re.sub(r'<(script|style)\b.*?</\1>', ' ', page, flags=re.DOTALL)
    return ' '.join(html.unescape(re.sub(r'<[^>]+>', ' ', seen)).split())


def pictures_in(page):
    found = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) for data in found]


def charts_in(page):
    return json.loads(re.search(r'id="charts">(.*?)</script>', page)[1])


def test_a_run_whose_log_is_lost_is_not_said_to_have_no_training(tmp_path):
    reported_run(tmp_path / 'a')
    (tmp_path / 'a' / 'metrics.jsonl').unlink()
    page = page_of(tmp_path / 'a')
    assert 'the log has no steps' in page and 'steps trained' not in page


def test_the_page_says_what_the_files_say(tmp_path):
    reported_run(tmp_path / 'run', hypers__beta=4.0, seed=7)
    write_evaluation(
        tmp_path / 'run', 91.5, 'evaluation-weights-last.json', weights='last, step 60'
    )
    page = page_of(tmp_path / 'run')
    seen, record = text_of(page), run_folder.load(tmp_path / 'run')
    for expected in (
        'VAE with fully connected networks (Kingma and Welling 2014).',
        'nll_nats 88.00 ± 0.25 estimate, k = 10',
        '447 examples of 8x8 digits; ± is the standard error over them',
        'With other settings: evaluation-weights-last.json',
        'nll_nats 91.50 ± 0.25',
        '-40.00 best elbo_nats, validation at step 60',
        '240 examples, 30 s',
        '8x8 digits with 17 grey levels 0..16 (train 1,000, valid 350, test 447 examples)',
        'hypers.beta 4.0 1.0 weight of the KL; 1: the evidence lower bound',
        'seed 7 0 seed of the initial weights',
        'best checkpoint, step 60',
        'commit, evaluation abc123',
        'packages, evaluation jax 0.10.2',
        record['id'],
        'samples/samples-0000060.png',
        f'--mode=sample --workdir={tmp_path}/run --seed=3',
        f'--mode=reconstruct --workdir={tmp_path}/run --seed=0',
    ):
        assert expected in seen, expected
    assert page.count('<mark>') == 2 * 2  # beta and seed, alone and among all fields


def test_the_curves_are_those_of_the_log(tmp_path):
    reported_run(tmp_path / 'run')
    elbo, loss = charts_in(page_of(tmp_path / 'run'))
    assert (elbo['title'], loss['title']) == ('elbo_nats', 'loss')
    assert elbo['lines'][0]['name'] == 'validation'
    assert elbo['lines'][0]['x'] == [10, 20, 30, 40, 50, 60]
    assert elbo['lines'][0]['y'] == [-90, -80, -70, -60, -50, -40]
    assert loss['lines'][0]['y'] == [80, 70, 60, 50, 40, 30]


def test_the_pictures_are_those_of_the_run(tmp_path):
    """Of training, the newest and some earlier ones."""
    reported_run(tmp_path / 'run')
    shown = pictures_in(page_of(tmp_path / 'run'))
    expected = [60, 10, 20, 40, 103, 104]  # earlier steps at about equal ratios
    assert len(shown) == len(expected)
    for seed in expected:
        x = np.random.default_rng(seed).integers(0, 256, (20, 20), dtype=np.uint8)
        assert any(np.array_equal(x, each) for each in shown), seed


@pytest.mark.parametrize(
    'changes',
    [
        {},
        dict(hypers__beta=0.3, model__hidden_sizes=(7,), seed=3),
        dict(model__hidden_sizes=(7, 5), train__best_metric='', train__patience=3),
        dict(data__without_classes=('9',), model__activation='tanh', hypers__learning_rate=1e-5),
    ],
    ids=['defaults', 'one-size', 'empty', 'texts'],
)
def test_the_command_makes_the_same_config(tmp_path, changes):
    run = reported_run(tmp_path / 'run', **changes)
    commands = re.findall(r'<pre class="command"><code>(.*?)</code>', page_of(tmp_path / 'run'))
    first = html.unescape(re.sub('<[^>]+>', '', commands[0]))
    python, *arguments = shlex.split(first)
    assert python == 'python'
    command = cli.parse(arguments)
    assert command.values.workdir == str(tmp_path / 'run')
    assert command.config.to_dict() == run.config.to_dict()


def test_a_run_that_has_hardly_begun_has_a_page(tmp_path):
    run = reported_run(tmp_path / 'run', nll=None)
    for path in [*run.folder.glob('*/*.png'), run.folder / 'data.json']:
        path.unlink()
    (run.folder / 'metrics.jsonl').write_text('')
    page = page_of(run.folder)
    assert f'There is no evaluation: --mode=evaluate --workdir={run.folder}' in text_of(page)
    assert not pictures_in(page) and '<script' not in page


def test_a_page_does_not_begin_a_run(tmp_path):
    """A run that has not finished its first dispatch may be replaced by another."""
    run = reported_run(tmp_path / 'run', nll=None)
    for folder in ('samples', 'applications'):
        for path in (run.folder / folder).iterdir():
            path.unlink()
        (run.folder / folder).rmdir()
    (run.folder / 'metrics.jsonl').write_text('')
    assert not run_folder.has_begun(run.folder)
    page_of(run.folder)
    assert not run_folder.has_begun(run.folder)


def test_the_code_of_a_stranger_is_not_run(tmp_path, monkeypatch):
    """The config of a run elsewhere is neither loaded nor read, unless the user trusts it."""
    monkeypatch.setattr(checkout, '_trusted', set())
    mine, mark = tmp_path / 'mine.py', tmp_path / 'mark'
    mine.write_text(
        f'"""A config of mine."""\nopen({str(mark)!r}, "a").write("x")\n'
        'from configs import vae\nget_config, build = vae.get_config, vae.build\n'
    )
    run = reported_run(tmp_path / 'run')
    record = files.read_json(run.folder / 'config.json')
    files.write_json(run.folder / 'config.json', {**record, 'path': str(mine)})
    seen = text_of(page_of(run.folder))
    assert not mark.exists()
    assert 'which is not in configs/ of the checkout' in seen and 'A config of mine' not in seen
    checkout.trust(mine)
    with checkout.open_for_a_command():
        assert 'A config of mine' in text_of(page_of(run.folder))
    assert mark.exists()


def hostile_run(folder):
    """A run whose every text is hostile, with valid checksums."""
    run = reported_run(folder, nll=None)
    write_log(
        folder,
        {f'valid/{EVIL}': float, f'train/"\'{EVIL}': float, 'valid/null': lambda s: None},
    )
    values = {EVIL[:190]: {'mean': 1.0, 'standard_error': None}, 'nll_nats': {'mean': None}}
    write_evaluation(
        folder,
        values=values,
        log_prob=EVIL,
        weights=EVIL,
        hardware=[EVIL],
        git={EVIL: EVIL},
        versions={EVIL: EVIL},
        data={'description': EVIL, 'examples': EVIL, 'split': [EVIL]},
        samples={'values': {EVIL: {'samples': 1.0, 'floor': None}}, 'features': EVIL},
        latents={'active_units': 3, EVIL: EVIL},
    )
    classes = [{'name': EVIL, 'train': EVIL}, EVIL, None]
    files.write_json(
        folder / 'data.json',
        {
            EVIL: EVIL,
            'description': [EVIL],
            'splits': {EVIL: EVIL},
            'classes': classes,
            'copies': 3,
        },
    )
    write_picture(folder / 'samples' / f'{EVIL.replace("/", "-")}-0000010.png', 1)
    write_picture(folder / 'applications' / '"><script>alert(3)<script>.png', 1)
    (folder / 'applications' / 'reconstruct-seed-1.png').write_text(f'<svg onload={EVIL}>')
    (folder / 'samples' / 'samples-0000010.txt').write_text(EVIL)
    return run


def test_a_strangers_texts_stay_texts(tmp_path):
    page = page_of(hostile_run(tmp_path / 'run <b>').folder)
    found = Elements(page)
    assert found.tags.count('script') == 3 and found.tags.count('img') == 6 + 2
    assert not {'iframe', 'object', 'svg', 'link', 'base', 'form'} & {*found.tags}
    assert not [name for name, _ in found.attributes if name.startswith('on')]
    links = [value for name, value in found.attributes if name in ('href', 'src')]
    assert all(value.startswith(('#', 'data:image/png;base64,')) for value in links)
    assert 'Left out: reconstruct-seed-1' in text_of(page)


@pytest.mark.slow
def test_a_huge_run_has_a_page_of_two_megabytes(tmp_path):
    """Many metrics, long names, many pictures: what does not fit is left out, and said."""
    run = reported_run(tmp_path / 'run')
    names = {f'valid/{i}{"n" * 150}': float for i in range(150)}
    write_log(run.folder, names, range(1, 40))
    write_evaluation(
        run.folder,
        values={f'{i}{"m" * 190}': {'mean': 1.0, 'standard_error': 1.0} for i in range(3_000)},
    )
    for i in range(24):
        write_picture(run.folder / 'applications' / f'embed-seed-{i}.png', i, (300, 300, 3))
    page = page_of(run.folder)
    assert len(page.encode()) <= page_lib.MAX_BYTES
    seen = text_of(page)
    assert '2,800 more metrics left out' in seen
    assert 'the page is full' in seen
    assert '70 more curves of the log left out' in seen and 'more charts left out' in seen


@pytest.fixture(scope='module')
def chromium():
    with browser.started() as started:
        yield started


def test_a_browser_shows_the_page(tmp_path, chromium):
    run = reported_run(tmp_path / 'run')
    page_of(run.folder)
    for width in (1200, 390):
        opened = chromium.open(run.folder / 'report.html', width)
        opened.wait_for("document.documentElement.dataset.drawn === '2'")
        assert opened.problems() == []
        assert opened.requests() == [(run.folder / 'report.html').as_uri()]
        assert opened.value('document.documentElement.scrollWidth') == width
        complete = '[...document.images].every((i) => i.complete && i.naturalWidth > 0)'
        assert opened.value(complete) and opened.value('document.images.length') == 6


def test_a_browser_runs_no_script_of_a_stranger(tmp_path, chromium):
    run = hostile_run(tmp_path / 'run')
    page_of(run.folder)
    opened = chromium.open(run.folder / 'report.html', 390)
    opened.wait_for("document.documentElement.dataset.drawn === '2'")
    (words,) = opened.value(
        "[...document.querySelectorAll('.chart .note')].map((n) => n.innerText)"
    )
    assert words == 'validation: no value is finite'  # of the metric that is always null
    assert opened.problems() == []
    assert opened.requests() == [(run.folder / 'report.html').as_uri()]
    assert opened.value('document.documentElement.scrollWidth') == 390
    assert opened.value("document.querySelectorAll('script').length") == 3
