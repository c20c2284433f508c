"""A run folder after a kill, with links in it, or with a changed config.json."""

import os
import shutil

import jax
import numpy as np
import pytest
from support import contents, make_run, recipe_and_config

import train_lib
from atelier import applications, files
from atelier.applications import reconstruct, sample
from atelier.errors import UserError
from atelier.evaluation import compare, evaluate
from atelier.run import run_folder

pytestmark = pytest.mark.usefixtures('quick_compilation')
ONE = slice(1)  # of the devices


@pytest.fixture(scope='module')
def used(tmp_path_factory):
    """The folder of a run that was trained, evaluated and used. Tests must not modify it."""
    run = make_run(tmp_path_factory.mktemp('used') / 'run', train__steps=10)
    train_lib.train(run, jax.devices()[ONE])
    evaluate.evaluate(run, jax.devices()[ONE])
    for application in (sample, reconstruct):
        applications.perform(application.APPLICATION, run)
    (run.folder / 'damaged').mkdir()
    files.write_json(run.folder / 'failed.json', {'message': 'nan'})
    return run.folder


@pytest.fixture
def folder(used, tmp_path):
    """A copy of the run folder."""
    return shutil.copytree(used, tmp_path / 'run')


# After a kill


@pytest.mark.parametrize('name', ['.config.json.4711', '.writing-0123456789ab'])
def test_a_run_killed_before_its_config_was_written_goes_on(tmp_path, name):
    """The temporary file is gone, and so is one in a subfolder."""
    folder = tmp_path / 'run'
    folder.mkdir()
    (folder / '.lock').touch()
    (folder / name).write_text('{"tor')
    run_folder.check_same(folder, *recipe_and_config())
    with run_folder.only_trainer(folder):
        assert set(contents(folder)) == {'.lock'}


def test_an_application_removes_what_a_killed_one_left(folder):
    """The file that was being written by it is no longer in the way."""
    left = folder / 'applications' / '.writing-0123456789ab'
    left.write_text('half')
    run = run_folder.reopen(folder)
    applications.perform(sample.APPLICATION, run, num_samples=4, seed=5)
    assert not left.exists()
    assert (folder / 'samples' / 'seed-5.npz').exists()


# Links


def test_no_name_of_a_run_may_be_a_link(used, folder, tmp_path):
    """Each file and each folder in turn; what it leads to is neither read nor changed."""
    paths = [path for path in sorted(folder.rglob('*')) if path != folder / 'checkpoints']
    names = {path.relative_to(folder).parts[0] for path in paths}
    assert names == {
        *('.lock', 'config.json', 'metrics.jsonl', 'evaluation.json', 'evaluation.npz'),
        *('samples', 'applications', 'tensorboard', 'damaged', 'checkpoints', 'failed.json'),
    }
    mine = tmp_path / 'mine'
    for path in paths:
        path.rename(mine)
        path.symlink_to(mine)
        before = contents(tmp_path)
        for open_folder in (
            run_folder.load,
            lambda folder: run_folder.only_trainer(folder).__enter__(),
        ):
            with pytest.raises(UserError, match=f'{path.name} is a symbolic link'):
                open_folder(folder)
        assert contents(tmp_path) == before
        path.unlink()
        mine.rename(path)
    assert contents(folder) == contents(used)


def test_a_run_and_its_checkpoints_may_be_on_another_disk(folder, tmp_path):
    """Training, damaged checkpoints and results stay in the run."""
    (folder / 'checkpoints').rename(tmp_path / 'checkpoints')
    (folder / 'checkpoints').symlink_to(tmp_path / 'checkpoints')
    (tmp_path / 'linked').symlink_to(folder)
    newest = max((tmp_path / 'checkpoints').iterdir(), key=lambda path: int(path.name))
    shutil.rmtree(newest / 'state')
    shutil.copytree(newest, newest.with_name('5'))
    with pytest.raises(UserError, match='can be read'):
        evaluate.evaluate(run_folder.reopen(tmp_path / 'linked'))
    assert {path.name for path in tmp_path.iterdir()} == {'run', 'checkpoints', 'linked'}


def test_a_lock_that_becomes_a_link_is_not_followed(folder, tmp_path, monkeypatch):
    """Not even if it appears after the check."""
    (tmp_path / 'mine').write_text('mine')
    (folder / '.lock').unlink()
    (folder / '.lock').symlink_to(tmp_path / 'mine')
    monkeypatch.setattr(files, 'refuse_links', lambda folder: None)
    with pytest.raises(UserError, match='cannot write'), run_folder.only_trainer(folder):
        pass
    assert (tmp_path / 'mine').read_text() == 'mine'


# Checksums


def test_a_changed_config_is_refused(folder):
    """By every command: all of them load it."""
    path = folder / 'config.json'
    text = path.read_text()
    assert '"beta": 1.0' in text
    path.write_text(text.replace('"beta": 1.0', '"beta": 1.5'))
    with pytest.raises(UserError, match=r'config\.json was changed after it was written'):
        run_folder.load(folder)


def test_a_changed_evaluation_is_refused_and_made_again(folder, tmp_path):
    """A comparison refuses it; the evaluation at the end of a training repeats it."""
    result = files.read_json(folder / 'evaluation.json')
    mean = result['values']['elbo_nats']['mean']
    text = (folder / 'evaluation.json').read_text()
    (folder / 'evaluation.json').write_text(text.replace(repr(mean), repr(mean + 1)))
    shutil.copytree(folder, tmp_path / 'other')
    with pytest.raises(UserError, match='changed after .*--mode=evaluate .* writes it again'):
        compare.compare([str(folder), str(tmp_path / 'other')], tmp_path)
    evaluate.evaluate(run_folder.reopen(folder), jax.devices()[ONE], reuse=True)
    assert files.read_json(folder / 'evaluation.json')['values'] == result['values']


@pytest.mark.parametrize('damage', [os.remove, lambda path: os.truncate(path, 100)])
def test_torn_or_missing_values_are_made_again(folder, damage):
    """Even if evaluation.json is whole."""
    damage(folder / 'evaluation.npz')
    evaluate.evaluate(run_folder.reopen(folder), jax.devices()[ONE], reuse=True)
    with np.load(folder / 'evaluation.npz') as values:
        assert all(len(values[name]) for name in values.files)
