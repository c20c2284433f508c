"""`--mode=report`: chooses the page by what its flags and folders are."""

import browser
import numpy as np
import pytest
from reported_runs import reported_run
from support import recipe_and_config

from atelier import checkout, cli
from atelier.report.page.page import MAX_BYTES
from atelier.sweep import folder as sweep_folder


def perform(*flags):
    cli.perform(cli.parse(['main.py', '--mode=report', *map(str, flags)]))


@pytest.fixture
def runs(tmp_path):
    for name in 'ab':
        reported_run(tmp_path / name)
    config_file, config = recipe_and_config('digits,debug')
    record = sweep_folder.record_of(config_file, config, ['seed=0:2'], 0, None)
    sweep_folder.write(tmp_path / 'sweep', record)
    return tmp_path


def test_the_folder_decides_which_page_is_written(runs, caplog, monkeypatch):
    monkeypatch.chdir(runs)
    with caplog.at_level('INFO', logger='atelier'):
        perform('--workdir=a')
        perform('--workdir=sweep')
        perform('--runs=a,b', '--workdir=both')
        perform('--runs=a,b')
    paths = ['a', 'sweep', 'both', 'runs/compare']
    said = [line for line in caplog.messages if line.startswith('page: ')]
    for path, line in zip(paths, said, strict=True):
        assert line.startswith(f'page: {path}/report.html (0.')
        assert (runs / path / 'report.html').read_text().startswith('<!DOCTYPE html>')


def test_mistakes_are_explained(runs, complaint):
    assert 'needs --workdir=RUN' in complaint(perform) and '--runs=RUN,RUN' in complaint(perform)
    assert 'takes no --config' in complaint(perform, '--config=configs/vae.py')
    assert 'nobody does not exist' in complaint(perform, f'--workdir={runs}/nobody')
    assert 'at least two runs' in complaint(perform, f'--runs={runs}/a')
    assert 'name one of the runs in it' in complaint(perform, f'--workdir={runs}')
    assert '--runs is for --mode=compare and --mode=report' in complaint(
        cli.perform, cli.parse(['x', '--mode=sweep', f'--workdir={runs}/sweep', '--runs=a'])
    )


def test_a_sweep_with_a_page_is_still_that_sweep(runs):
    """Its page is one of the sweep's own files."""
    perform(f'--workdir={runs}/sweep')
    config_file, config = recipe_and_config('digits,debug')
    record = sweep_folder.record_of(config_file, config, ['seed=0:2'], 0, None)
    sweep_folder.check_same(runs / 'sweep', record)
    (runs / 'sweep' / 'report.html').unlink()
    (runs / 'sweep' / 'report.html').symlink_to(runs / 'elsewhere')
    with pytest.raises(Exception, match='symbolic link'):
        perform(f'--workdir={runs}/sweep')
    assert not (runs / 'elsewhere').exists()


@pytest.mark.slow
def test_a_trained_run_has_a_page_without_its_data(main, tmp_path):
    """The commands of the documentation, from training to a page that a browser opens."""
    data, folder = tmp_path / 'mine.npz', tmp_path / 'run'
    digits = np.random.default_rng(0).integers(0, 4, (300, 8, 8, 1), dtype=np.uint8)
    np.savez(data, x=digits)
    config = f'--config={checkout.ROOT}/configs/vae.py:arrays,debug'
    for flags in (
        [config, f'--config.data.path={data}'],
        ['--mode=reconstruct'],
        ['--mode=sample', '--num_samples=9'],
    ):
        result = main(*flags, f'--workdir={folder}', cwd=tmp_path)
        assert result.returncode == 0, result.stderr
    data.unlink()
    result = main('--mode=report', f'--workdir={folder}', cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    page = folder / 'report.html'
    assert f'page: {page} (' in result.stdout and page.stat().st_size <= MAX_BYTES
    with browser.started() as chromium:
        opened = chromium.open(page)
        opened.wait_for("document.querySelectorAll('canvas').length > 0")
        num_charts = opened.value("document.querySelectorAll('.plot').length")
        opened.wait_for(f"document.documentElement.dataset.drawn === '{num_charts}'")
        assert opened.problems() == [] and opened.requests() == [page.as_uri()]
        seen = opened.value('document.body.innerText')
    for expected in ('nll_nats', 'estimate, k =', '--mode=reconstruct', '--mode=sample', 'commit'):
        assert expected in seen
