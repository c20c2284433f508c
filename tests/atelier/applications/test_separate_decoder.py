"""The other process opens the run as this one did."""

import pytest
from support import assembled

from atelier import checkout
from atelier.applications import _separate_decoder
from atelier.run import run_folder


def test_the_decoder_gets_the_trusted_files_and_what_differs_from_the_record(tmp_path, monkeypatch):
    monkeypatch.setattr(checkout, '_trusted', {tmp_path / 'mine.py'})
    run = assembled(tmp_path / 'run', 'naive_bayes')
    run_folder.write_config(run, 1)
    start = [f'--workdir={run.folder}', f'--file={tmp_path}/a.bin', f'--trust={tmp_path}/mine.py']
    assert _separate_decoder.command(run, tmp_path / 'a.bin')[3:] == start
    run.config.data.path = '/moved'
    run.config.eval.update(weights='last', batch_size=7)
    changed = ['data.path=/moved', 'eval.batch_size=7', 'eval.weights=last']
    flags = _separate_decoder.command(run, tmp_path / 'a.bin')[3:]
    assert flags[:3] == start
    assert sorted(flags[3:]) == [f'--config.{each}' for each in changed]


@pytest.mark.slow
def test_a_run_of_a_users_own_config_is_compressed(main, tmp_path):
    """Its config is outside the checkout and imports a neighbour."""
    (tmp_path / 'neighbour.py').write_text('from configs import naive_bayes\n')
    source = 'from neighbour import naive_bayes as base\n'
    source += 'get_config, build = base.get_config, base.build\n'
    (tmp_path / 'mine.py').write_text(source)
    quick = ['--config.train.steps=2', '--config.train.evaluate_every=2']
    result = main('--config=mine.py:digits,debug', '--workdir=run', *quick, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    compress = ['--mode=compress', '--workdir=run', '--num_images=8', '--config.eval.weights=last']
    for trust in ('--trust=mine.py', '--config=mine.py:digits,debug'):
        result = main(*compress, trust, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        assert 'decoded without loss' in result.stdout + result.stderr
