"""A run folder after a kill, with links or pipes in it, or with a changed config.json."""

import errno
import os
import shutil

import pytest
from support import contents, make_run, recipe_and_config

from atelier import applications, checkout
from atelier.errors import UserError
from atelier.run import experiment, run_folder

ONE = slice(1)  # of the devices


WRITTEN = (  # one file of each kind that a run holds, checkpoints aside
    *('.lock', 'config.json', 'metrics.jsonl', 'evaluation.json', 'evaluation.npz'),
    *('failed.json', 'samples/seed-0.npz', 'samples/samples-0000010.png', 'samples/seed-0.txt'),
    *('applications/compress.bin', 'applications/embed.json', 'applications/samplers.csv'),
    *('tensorboard/events', 'damaged/30/state/x', 'profile/plugins/x', 'checkpoints/10/state/x'),
)


@pytest.fixture(scope='module')
def unopened(tmp_path_factory):
    """The folder of a run with all kinds of files, most of them empty. Tests must not modify it."""
    run = make_run(tmp_path_factory.mktemp('used') / 'run')
    for name in WRITTEN:
        (run.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (run.folder / name).touch()
    (run.folder / 'config.json').unlink()
    run_folder.write_config(run, 1)
    return run.folder


@pytest.fixture
def folder(unopened, tmp_path):
    """A copy of the run folder."""
    return shutil.copytree(unopened, tmp_path / 'run')


# After a kill


@pytest.mark.parametrize('name', ['.config.json.4711', '.writing-0123456789ab'])
def test_a_run_killed_before_its_config_was_written_continues(tmp_path, name):
    """The temporary file and one in a subfolder are removed."""
    folder = tmp_path / 'run'
    folder.mkdir()
    (folder / '.lock').touch()
    (folder / name).write_text('{"tor')
    run_folder.check_same(folder, *recipe_and_config())
    with run_folder.only_trainer(folder):
        assert set(contents(folder)) == {'.lock'}


@pytest.mark.parametrize(
    'name', ['metrics.jsonl', 'checkpoints/5/x', 'samples/x', 'damaged/5/x', 'failed.json']
)
def test_only_a_run_that_has_not_begun_may_be_replaced(tiny_run, caplog, name):
    """The files of a start are no results: the corrected command trains in the same folder."""
    run, other = tiny_run(), recipe_and_config('digits,debug', model__latent_dim=3)
    (run.folder / 'checkpoints').mkdir(parents=True)
    (run.folder / 'tensorboard').mkdir()
    for empty in ('.lock', 'metrics.jsonl', '.writing-0123456789ab', 'tensorboard/events'):
        (run.folder / empty).touch()
    run_folder.write_config(run, 1)
    first = run_folder.load(run.folder)
    run_folder.check_same(run.folder, *other)
    with caplog.at_level('INFO', logger='atelier'):
        run_folder.write_config(experiment.assemble(run.folder, *other), 1)
    assert 'has not begun to train: its config.json is written anew' in caplog.text
    record = run_folder.load(run.folder)
    assert record['values']['model']['latent_dim'] == 3
    assert record['id'] != first['id']
    (run.folder / name).parent.mkdir(parents=True, exist_ok=True)
    (run.folder / name).write_text('{"step": 1}\n')
    run_folder.check_same(run.folder, *other)
    with pytest.raises(UserError, match=r'model.latent_dim \(the run: 3, now: 2\)'):
        run_folder.check_same(run.folder, *recipe_and_config('digits,debug'))


def test_an_application_removes_leftovers_of_a_killed_one(folder):
    """The temporary file is removed before the application starts."""
    leftover = folder / 'applications' / '.writing-0123456789ab'
    leftover.write_text('half')
    application = applications.Application(lambda run: leftover.exists())
    assert applications.perform(application, run_folder.reopen(folder)) is False


# Links


def test_links_in_a_run_folder_are_refused(folder, tmp_path):
    """Each file and folder in turn is a link; its target is neither read nor changed."""
    paths = [path for path in sorted(folder.rglob('*')) if path != folder / 'checkpoints']
    assert len(paths) > len(WRITTEN)
    mine = tmp_path / 'mine'
    for path in paths:
        path.rename(mine)
        path.symlink_to(mine)
        before = contents(tmp_path)
        with pytest.raises(UserError, match=f'{path.name} is a symbolic link'):
            run_folder.load(folder)
        with (
            pytest.raises(UserError, match=f'{path.name} is a symbolic link'),
            run_folder.only_trainer(folder),
        ):
            pass
        assert contents(tmp_path) == before
        path.unlink()
        mine.rename(path)


def test_pipes_in_a_run_folder_are_refused(folder, tmp_path):
    """Each file in turn is a pipe, which is not opened: a command would wait for its other end."""
    for path in [path for path in sorted(folder.rglob('*')) if path.is_file()]:
        path.rename(tmp_path / 'mine')
        os.mkfifo(path)
        message = 'is not a run' if path.name == 'config.json' else f'{path.name} is neither a'
        with pytest.raises(UserError, match=message):
            run_folder.load(folder)
        with (
            pytest.raises(UserError, match=f'{path.name} is neither a regular file nor a folder'),
            run_folder.only_trainer(folder),
        ):
            pass
        path.unlink()
        (tmp_path / 'mine').rename(path)


def test_a_run_and_its_checkpoints_may_be_on_another_disk(folder, tmp_path, monkeypatch):
    """Links that the user made to a run or its checkpoints work; the latter must be trusted."""
    monkeypatch.setattr(checkout, '_trusted', {tmp_path / 'checkpoints'})
    (folder / 'checkpoints').rename(tmp_path / 'checkpoints')
    (folder / 'checkpoints').symlink_to(tmp_path / 'checkpoints')
    (tmp_path / 'linked').symlink_to(folder)
    assert run_folder.load(tmp_path / 'linked') == run_folder.load(folder)
    with run_folder.only_trainer(tmp_path / 'linked'):
        pass


def test_a_lock_that_becomes_a_link_is_not_followed(folder, tmp_path, monkeypatch):
    """Even if the link is created after the check."""
    (tmp_path / 'mine').write_text('mine')
    (folder / '.lock').unlink()
    (folder / '.lock').symlink_to(tmp_path / 'mine')
    monkeypatch.setattr(run_folder, 'check_entries', lambda folder: None)
    with pytest.raises(UserError, match='cannot write'), run_folder.only_trainer(folder):
        pass
    assert (tmp_path / 'mine').read_text() == 'mine'


# Checksums


def test_a_changed_config_is_refused(folder):
    """Every command refuses it, because every command loads it."""
    path = folder / 'config.json'
    text = path.read_text()
    assert '"beta": 1.0' in text
    path.write_text(text.replace('"beta": 1.0', '"beta": 1.5'))
    with pytest.raises(UserError, match=r'config\.json was changed after it was written'):
        run_folder.load(folder)


def test_a_folder_without_file_locks_is_refused(tmp_path, monkeypatch):
    """Two processes could train there at the same time."""

    def no_locks(descriptor, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr('fcntl.flock', no_locks)
    with (
        pytest.raises(UserError, match='run cannot be locked .*: choose a --workdir on a file sys'),
        run_folder.only_trainer(tmp_path / 'run'),
    ):
        pass
