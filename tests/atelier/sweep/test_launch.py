"""Shards as jobs: the command of each, and two of them on this machine."""

import csv
import pathlib
import re
import sys

import pytest
from support import error_line

from atelier.checkout import ROOT
from atelier.sweep import launch

CONFIG = f'--config={ROOT}/configs/vae.py:debug'


def test_a_job_is_the_command_of_its_shard(tmp_path):
    command = launch.command_of(tmp_path / 'sweep', 2, 3)
    assert command[:2] == [sys.executable, str(ROOT / 'main.py')]
    assert command[2:] == ['--mode=sweep', f'--workdir={tmp_path}/sweep', '--sweep_shard=2/3']
    own = launch.command_of(tmp_path / 'sweep', 2, 3, ['--trust=mine.py'])
    assert own == [*command, '--trust=mine.py']


def test_options(complaint):
    assert launch.parsed(['gpus_per_node=2', 'slurm_partition=a=b']) == {
        'gpus_per_node': 2,
        'slurm_partition': 'a=b',
    }
    for text in ('gpus', '=1', 'a b=1'):
        assert f'--launcher_option={text}' in complaint(launch.parsed, [text])


@pytest.mark.parametrize(
    ('arguments', 'pattern'),
    [
        (('submitit', 1, ()), '--launcher=submitit: .*srun'),
        (('submitit-local', 1, ('gpus=1',)), '--launcher=submitit-local: .*gpus'),
        (('submitit', 0, ()), '--launcher_jobs=0'),
    ],
)
def test_invalid_launches_are_refused(complaint, tmp_path, arguments, pattern):
    message = complaint(launch.launch, tmp_path, *arguments)
    assert re.search(pattern, message), message


def test_without_submitit(complaint, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'submitit', None)
    assert 'requirements-slurm.txt' in complaint(launch.launch, tmp_path, 'submitit', 1, ())


@pytest.mark.slow
def test_two_jobs_of_this_machine_are_one_sweep(main, tmp_path):
    """The two members differ in shape, so each job gets one; together they are the whole sweep."""
    arguments = [
        CONFIG,
        '--mode=sweep',
        f'--workdir={tmp_path}/sweep',
        '--sweep=model.latent_dim=2,3',
    ]
    jobs = ['--launcher=submitit-local', '--launcher_jobs=2']
    result = main(*arguments, *jobs, timeout=600)
    assert result.returncode == 0, result.stderr
    assert len(list((tmp_path / 'sweep' / 'jobs').glob('*/*.out'))) == 2
    result = main('--mode=sweep', f'--workdir={tmp_path}/sweep')
    assert 'elbo_nats, validation' in result.stdout
    with (tmp_path / 'sweep' / 'sweep.csv').open() as file:
        assert [row['status'] for row in csv.DictReader(file)] == ['finished', 'finished']
    message = error_line(main(*arguments, *jobs, '--sweep_shard=1/2'))
    assert 'leave out --sweep_shard' in message


@pytest.mark.slow
def test_a_job_trusts_the_config_that_the_user_named(main, tmp_path):
    source = 'from configs import vae\nget_config, build = vae.get_config, vae.build\n'
    (tmp_path / 'mine.py').write_text(source)
    arguments = ['--config=mine.py:debug', '--mode=sweep', '--workdir=sweep', '--sweep=seed=0,1']
    result = main(*arguments, '--launcher=submitit-local', cwd=tmp_path, timeout=600)
    assert result.returncode == 0, result.stderr
    assert '--trust=' in error_line(main('--mode=sweep', '--workdir=sweep', cwd=tmp_path))


@pytest.mark.slow
def test_a_job_imports_nothing_of_the_current_folder(tmp_path, monkeypatch):
    """It may be that of an untrusted sweep."""
    for name in ('submitit', 'cloudpickle', 'atelier'):
        (tmp_path / f'{name}.py').write_text(f'open({str(tmp_path / "ran")!r}, "w")')
    monkeypatch.chdir(tmp_path)
    command = lambda *_: [sys.executable, '-P', '-c', 'print("started")']
    monkeypatch.setattr(launch, 'command_of', command)
    launch.launch(pathlib.Path('sweep'), launch.LOCAL, 1, ())
    (output,) = (tmp_path / 'sweep' / 'jobs').glob('*/*.out')
    assert 'started' in output.read_text()
    assert not (tmp_path / 'ran').exists() and pathlib.Path.cwd() == tmp_path


@pytest.mark.slow
def test_a_failed_job_is_reported(main, tmp_path):
    arguments = [CONFIG, '--mode=sweep', f'--workdir={tmp_path}/sweep', '--launcher=submitit-local']
    result = main(*arguments, '--sweep=hypers.learning_rate=1e30,2e30', timeout=600)
    assert '1 of 1 job failed; ' in error_line(result)
