"""Folders and runs that differ from what the user expects: one line, and no file changes.

As in `test_bad_input.py`, main.py itself is run once for each kind of mistake.
"""

import os
import pathlib
import re
import shutil

import jax
import numpy as np
import pytest
from support import contents, dotted, error_line, recipe_and_config

import train_lib
from atelier import checkout, files
from atelier.applications import sample
from atelier.errors import UserError
from atelier.evaluation import compare, evaluate
from atelier.run import config_values, experiment, restore, run_folder

ROOT = checkout.ROOT
CONFIG = f'--config={ROOT}/configs/vae.py'
DEBUG = f'{CONFIG}:debug'
STEPS = 10  # of the fixture `trained`


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """The folder of a run of `STEPS` steps. Tests must not modify it."""
    folder = tmp_path_factory.mktemp('trained') / 'run'
    config_file, config = recipe_and_config(
        train__steps=STEPS, train__evaluate_every=STEPS, train__checkpoint_every=STEPS
    )
    train_lib.train(experiment.assemble(folder, config_file, config), jax.devices()[:1])
    return folder


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of the run folder."""
    return pathlib.Path(shutil.copytree(trained, tmp_path / 'run'))


def opened(folder, **changes):
    """Returns the run in `folder`, with other settings."""
    config_file, config = recipe_and_config()
    stored = config_values.flatten(run_folder.load(folder)['values'])
    config.update_from_flattened_dict({**stored, **{dotted(k): v for k, v in changes.items()}})
    return experiment.assemble(folder, config_file, config)


# Folders: existing files stay unchanged


@pytest.mark.slow
def test_a_folder_that_cannot_be_created_is_refused(main, tmp_path):
    (tmp_path / 'file').write_text('mine')
    line = error_line(main(DEBUG, f'--workdir={tmp_path}/file/run'))
    assert f'cannot write {tmp_path}/file/run' in line
    assert contents(tmp_path) == {'file': b'mine'}


@pytest.mark.parametrize('name', ['file', 'folder'])
def test_a_workdir_without_a_run_is_refused_and_unchanged(tmp_path, name):
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'folder' / 'thesis.tex').write_text('mine')
    (tmp_path / 'file').write_text('mine')
    before = contents(tmp_path)
    with pytest.raises(UserError, match=f'{name} exists and is not a run'):
        run_folder.check_same(tmp_path / name, *recipe_and_config())
    why = {'file': 'is a file', 'folder': 'exists and is not a run: it has no config.json'}[name]
    with pytest.raises(UserError, match=f'{name} {why}.*give the folder of a run .*runs/'):
        run_folder.load(tmp_path / name)
    assert contents(tmp_path) == before


def test_the_folder_of_several_runs(tmp_path):
    """The message names one of them; of a sweep, it says so."""
    for name in ('b', 'a'):
        (tmp_path / 'runs' / name).mkdir(parents=True)
        (tmp_path / 'runs' / name / 'config.json').write_text('{}')
    with pytest.raises(UserError, match='name one of the runs in it, such as .*runs/a$'):
        run_folder.load(tmp_path / 'runs')
    (tmp_path / 'runs' / 'sweep.json').write_text('{}')
    with pytest.raises(UserError, match='is a sweep: name one of the runs in it$'):
        run_folder.load(tmp_path / 'runs')


def test_a_workdir_path_that_the_system_refuses_is_one_line(tmp_path):
    """Also covers a folder without permission, which root could still write."""
    name = 'x' * 300
    with pytest.raises(UserError, match=name):
        run_folder.check_same(tmp_path / name, *recipe_and_config())
    with pytest.raises(UserError, match=name):
        run_folder.load(tmp_path / name)


def test_training_in_the_run_of_another_config_is_refused(main, folder):
    before = contents(folder)
    changes = ['--config.model.latent_dim=3', f'--config.train.steps={STEPS}', '--config.seed=4']
    line = error_line(main(DEBUG, *changes, f'--workdir={folder}'))
    assert 'model.latent_dim (the run: 2, now: 3)' in line
    assert 'seed (the run: 0, now: 4)' in line
    assert 'train.steps' not in line
    assert contents(folder) == before


def test_training_in_the_run_of_another_config_file_is_refused(folder, tmp_path):
    """Another config file may build another model from equal values."""
    other = tmp_path / 'other.py'
    other.write_text('from configs.vae import get_config\nbuild = None\n')
    config_file, _ = recipe_and_config(path=other)
    before = contents(folder)
    with pytest.raises(UserError, match='vae.py.*other.py|other.py.*vae.py'):
        run_folder.check_same(folder, config_file, opened(folder).config)
    assert contents(folder) == before


@pytest.mark.slow
def test_evaluating_a_run_with_another_config_is_refused(main, folder):
    before = contents(folder)
    line = error_line(main('--mode=evaluate', CONFIG, f'--workdir={folder}'))
    assert re.search(r'configs/vae\.py:debug', line), line
    assert contents(folder) == before


def test_fewer_steps_than_the_run_has_are_refused(folder):
    before = contents(folder)
    with pytest.raises(UserError, match=r'train\.steps \(the run: 10, now: 5\)'):
        run_folder.check_same(folder, *recipe_and_config(train__steps=5))
    with pytest.raises(UserError, match=r'train\.steps'):
        run_folder.reopen(folder, {'train.steps': 5}, to_train=True)
    with pytest.raises(UserError, match=r'train\.steps_per_dispatch=7: it is fixed'):
        run_folder.reopen(folder, {'train.steps_per_dispatch': 7}, to_train=True)
    assert contents(folder) == before


def test_the_present_value_of_a_setting_may_be_repeated(folder):
    stored = run_folder.load(folder)['values']['hypers']['beta']
    assert run_folder.reopen(folder, {'hypers.beta': stored}).config.hypers.beta == stored


@pytest.mark.slow
def test_a_workdir_may_start_with_a_tilde(main, tmp_path):
    flags = [f'--config={ROOT}/configs/vae.py:digits,debug', '--config.train.steps=5']
    home = dict(cwd=tmp_path, HOME=str(tmp_path / 'home'))
    result = main(*flags, '--workdir=~/a', **home)
    assert result.returncode == 0, result.stderr
    assert not (tmp_path / '~').exists()
    result = main('--mode=evaluate', '--workdir=~/a', **home)
    assert result.returncode == 0, result.stderr
    assert 'a run is listed twice' in error_line(
        main('--mode=compare', f'--runs=~/a,{tmp_path}/home/a', **home)
    )


@pytest.mark.slow
def test_fixed_settings_of_a_run_cannot_be_changed(main, folder):
    before = contents(folder)
    flags = ['--mode=evaluate', f'--workdir={folder}', '--config.model.latent_dim=3']
    line = error_line(main(*flags))
    assert '--config.model.latent_dim=3: it is fixed for this run' in line
    assert contents(folder) == before


@pytest.mark.parametrize(
    'text',
    ['', '{"path": "configs/vae.py", "argu', '[]', '{}', '\0\0\0\0'],
    ids=['empty', 'truncated', 'list', 'without fields', 'zeros'],
)
def test_a_damaged_config_json_is_one_line(folder, text):
    (folder / 'config.json').write_text(text)
    before = contents(folder)
    with pytest.raises(UserError, match='config.json is damaged'):
        run_folder.load(folder)
    with pytest.raises(UserError, match='config.json is damaged'):
        run_folder.check_same(folder, *recipe_and_config())
    assert contents(folder) == before


# Runs that cannot be evaluated or used


def test_a_run_that_does_not_exist_is_one_line(main, tmp_path):
    line = error_line(main('--mode=evaluate', '--workdir=nothing', cwd=tmp_path))
    assert 'nothing does not exist' in line
    assert contents(tmp_path) == {}


@pytest.mark.parametrize('use', [evaluate.evaluate, sample.apply], ids=['evaluate', 'sample'])
@pytest.mark.parametrize('with_folder', [False, True])
def test_a_run_without_a_checkpoint_is_one_line(tiny_run, use, with_folder):
    run = tiny_run()
    run.folder.mkdir()
    run_folder.write_config(run, 1)
    if with_folder:
        (run.folder / 'checkpoints').mkdir()
    before = contents(run.folder)
    with pytest.raises(UserError, match='has no checkpoint yet: train it first'):
        use(run)
    assert contents(run.folder) == before


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('eval__batch_size', 0),
        ('eval__batch_size', -1),
        ('eval__num_importance_samples', 0),
        ('eval__num_importance_samples', -2),
        ('eval__weights', 'bst'),
    ],
)
def test_invalid_evaluation_settings_are_refused(folder, name, value):
    before = contents(folder)
    with pytest.raises(UserError, match=rf'{dotted(name)}\b.*{value}'):
        evaluate.evaluate(opened(folder, **{name: value}))
    assert contents(folder) == before


@pytest.mark.parametrize(
    ('option', 'value'), [('num_samples', -1), ('num_samples', -3), ('seed', 2**70)]
)
def test_invalid_sample_options_are_refused(folder, option, value):
    before = contents(folder)
    with pytest.raises(UserError, match=f'--{option}={value}'):
        sample.apply(opened(folder), **{option: value})
    assert contents(folder) == before


@pytest.mark.parametrize('empty', [True, False], ids=['empty', 'missing'])
def test_an_empty_or_missing_split_is_refused(folder, empty):
    run, before = opened(folder), contents(folder)
    splits = dict(run.data.splits)
    test = splits.pop('test')
    if empty:
        splits['test'] = {name: array[:0] for name, array in test.items()}
    with pytest.raises(UserError, match='no test examples: nothing to evaluate'):
        evaluate.evaluate(run._replace(data=run.data._replace(splits=splits)))
    assert contents(folder) == before


@pytest.mark.parametrize(
    'text',
    [
        '{"data": {"na',
        pytest.param('{}', marks=pytest.mark.slow),
        pytest.param('[]', marks=pytest.mark.slow),
    ],
)
def test_a_damaged_evaluation_is_repeated(folder, text):
    """The evaluation is repeated because the checkpoint determines all of it."""
    (folder / 'evaluation.json').write_text(text)
    result = evaluate.evaluate(opened(folder), jax.devices()[:1], reuse=True)
    assert files.read_json(folder / 'evaluation.json') == result


@pytest.mark.slow
def test_an_evaluation_that_was_changed_or_lost_its_values_is_repeated(folder, monkeypatch):
    """A comparison refuses the changed evaluation."""
    nothing = lambda *arguments: {}
    monkeypatch.setattr(evaluate, 'per_example', lambda *arguments: {'kl_nats': np.arange(9.0)})
    monkeypatch.setattr(evaluate, 'sample_quality', nothing)
    monkeypatch.setattr(evaluate, 'latent_diagnostics', nothing)
    path, values = folder / 'evaluation.json', folder / 'evaluation.npz'
    evaluated = lambda: evaluate.evaluate(opened(folder), jax.devices()[:1], reuse=True)
    evaluated()
    before, size = path.read_text(), values.stat().st_size
    evaluated()
    assert path.read_text() == before  # nothing was evaluated
    for damage in (os.remove, lambda path: os.truncate(path, size // 2)):
        damage(values)
        evaluated()
        assert values.stat().st_size == size
    files.write_json(path, {**files.read_json(path), 'run': 'another'})
    with pytest.raises(UserError, match='belongs to another run'):
        compare.compare([str(folder), str(folder.parent)], folder.parent)
    evaluated()
    assert files.read_json(path)['run'] == run_folder.load(folder)['id']
    path.write_text(path.read_text().replace('"mean": 4.0', '"mean": 5.0'))
    with pytest.raises(UserError, match='changed after .* --mode=evaluate .* writes it again'):
        compare.compare([str(folder), str(folder.parent)], folder.parent)
    evaluated()
    assert files.read_json(path)['values']['kl_nats']['mean'] == 4


def test_checkpoints_of_another_model_are_not_changed(folder):
    """As after a change to the model's code, which the user may revert."""
    run = opened(folder)
    with run.config.unlocked():
        run.config.hypers.gamma = 1.0
    before = contents(folder)
    with pytest.raises(UserError, match='checkpoint'):
        restore.load(run)
    assert contents(folder) == before


def test_paths_in_configs_become_absolute(tmp_path, monkeypatch):
    """Paths become absolute, so that a run works from any folder."""
    monkeypatch.chdir(tmp_path)
    _, config = recipe_and_config(eval__classifier='runs/judge', data__path='mine.npz')
    values = run_folder.with_absolute_paths(config.to_dict())
    assert values['eval']['classifier'] == f'{tmp_path}/runs/judge'
    assert values['data']['path'] == f'{tmp_path}/mine.npz' and values['data']['data_dir'] == ''
