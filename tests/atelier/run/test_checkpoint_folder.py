"""The folder of checkpoints: odd paths, folders that disappear, and deletion."""

import contextlib
import os
import pathlib
import shutil

import jax
import numpy as np
import pytest
from checkpointing import saved, state_of
from support import make_run

import train_lib
from atelier.errors import UserError
from atelier.run import checkpoint
from atelier.run.checkpoint import Checkpoints, Memory
from atelier.run.checkpoint_folder import CheckpointFolder
from atelier.training import session

ODD_NAMES = (
    'beta [0.5]',
    '[ab] * ?',
    '{a,b}',
    'gs:',
    'logs: {x}',
    '%s %d %%',
    '$HOME ~',
    'it\'s "quoted"',
    'a\\b',
    '-rf',
    'naïve – 数字 🙂',
    '#1;2&3|4',
    ' leading and trailing ',
    '40.orbax-checkpoint-tmp',
)


@pytest.mark.parametrize('name', ['/'.join(ODD_NAMES), ODD_NAMES[0]], ids=['all', 'brackets'])
def test_checkpoints_in_any_path_can_be_read(tmp_path, name):
    """All odd names together form one path, so that a single save tests them."""
    folder = saved(tmp_path / name / 'checkpoints', 10, 20, 30)
    with contextlib.closing(Checkpoints(folder, read_only=True)) as checkpoints:
        assert checkpoints.steps() == [20, 30]
        state, memory = checkpoints.restore_newest(state_of(0))
    assert memory == Memory()
    np.testing.assert_array_equal(state.params['model']['kernel'], np.full((4, 2), 30))


@pytest.mark.slow
@pytest.mark.parametrize('name', ODD_NAMES)
def test_checkpoints_in_a_path_of_each_odd_name_can_be_read(tmp_path, name):
    test_checkpoints_in_any_path_can_be_read(tmp_path, name)


def test_without_proc_paths_with_patterns_are_refused(tmp_path, monkeypatch):
    """As on macOS: patterns are refused before anything is saved, other paths work."""
    is_dir = pathlib.Path.is_dir
    monkeypatch.setattr(
        pathlib.Path, 'is_dir', lambda path: not str(path).startswith('/proc') and is_dir(path)
    )
    with pytest.raises(UserError, match=r"must not contain '\*', '\?', '\[' or 'gs:'"):
        CheckpointFolder(tmp_path / 'a[b]', read_only=False)
    with contextlib.closing(CheckpointFolder(tmp_path / 'plain', read_only=False)) as folder:
        assert folder.for_orbax == tmp_path / 'plain'


def deleted(folder):
    shutil.rmtree(folder.parent)


def moved(folder):
    folder.parent.rename(folder.parents[1] / 'elsewhere')


def replaced(folder):
    moved(folder)
    folder.mkdir(parents=True)


@pytest.mark.parametrize('happen', [deleted, moved, replaced])
@pytest.mark.parametrize('is_linked', [False, True])
def test_a_folder_that_disappears_ends_saving(tmp_path, happen, is_linked):
    """The error is one line; nothing is written at the old path, even by the save in progress."""
    folder = tmp_path / 'run' / 'checkpoints'
    folder.parent.mkdir()
    if is_linked:
        (tmp_path / 'disk').mkdir()
        folder.symlink_to(tmp_path / 'disk')
    checkpoints = Checkpoints(folder)
    checkpoints.check_in_place()
    checkpoints.save(state_of(10), Memory())
    happen(folder)
    for attempt in (checkpoints.check_in_place, lambda: checkpoints.save(state_of(20), Memory())):
        with pytest.raises(UserError, match='was deleted, moved or replaced during the training'):
            attempt()
    checkpoints.close()
    assert not os.path.exists(folder) or not list(folder.iterdir())


@pytest.mark.parametrize(
    ('part', 'at'),
    [
        pytest.param('config.json', 'dispatch', marks=pytest.mark.slow),
        ('checkpoints', 'save'),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in [
                ('config.json', 'save'),
                ('metrics.jsonl', 'dispatch'),
                ('metrics.jsonl', 'save'),
                ('checkpoints', 'dispatch'),
                ('.', 'dispatch'),
                ('.', 'save'),
            ]
        ),
    ],
)
def test_a_run_folder_of_which_a_part_is_deleted_stops_training(tmp_path, monkeypatch, part, at):
    """As after `rm -rf` beside a save, which leaves some of it; nothing is recreated."""
    run = make_run(tmp_path / 'run', train__steps=30)
    where, name = (session, 'log_dispatch') if at == 'dispatch' else (checkpoint, 'start_save')
    plain, calls = getattr(where, name), []

    def call_and_delete(*args):
        result = plain(*args)
        path = run.folder / part
        calls.append(path)
        path.rename(tmp_path / 'deleted')
        return result

    monkeypatch.setattr(where, name, call_and_delete)
    gone = 'run' if part == '.' else f'run/{part}'
    with pytest.raises(UserError, match=f'{gone} was deleted, moved or replaced'):
        train_lib.train(run, jax.devices()[:1])
    assert len(calls) == 1
    assert not (run.folder / part).exists()


@pytest.mark.parametrize('part', ['.', 'state', 'host', 'state/_METADATA', 'state/d'])
def test_a_save_whose_files_are_deleted_stops_training(tmp_path, part):
    """A deletion that has not reached the folder itself yet; nothing is moved to `damaged`."""
    with contextlib.closing(Checkpoints(tmp_path / 'run' / 'checkpoints')) as checkpoints:
        checkpoints.save(state_of(10), Memory())
        checkpoints.save(state_of(20), Memory())
        checkpoints._manager.wait_until_finished()
        path = tmp_path / 'run' / 'checkpoints' / '20' / part
        path.unlink() if path.is_file() else shutil.rmtree(path)
        with pytest.raises(UserError, match='checkpoints was deleted, moved or replaced'):
            checkpoints.wait()
    assert not (tmp_path / 'run' / 'damaged').exists()


def test_an_interrupted_deletion_is_completed(tmp_path):
    folder = saved(tmp_path / 'checkpoints', 10, 20)
    (folder / '10').rename(folder / '.deleted-10')
    with contextlib.closing(CheckpointFolder(folder, read_only=True)) as reader:
        assert reader.steps() == [20]
        assert (folder / '.deleted-10').exists()
    with contextlib.closing(CheckpointFolder(folder, read_only=False)):
        assert sorted(path.name for path in folder.iterdir()) == ['20']


def test_other_folder_names_are_not_steps(tmp_path):
    for name in ('10', '010', '1e1', '١٠', '20.orbax-checkpoint-tmp', '.deleted-30', 'damaged'):
        (tmp_path / name).mkdir()
    (tmp_path / '40').touch()
    with contextlib.closing(CheckpointFolder(tmp_path, read_only=True)) as folder:
        assert folder.steps() == [10]


def test_an_earlier_checkpoint_that_was_set_aside_stays(tmp_path):
    """It may be whole, and only have been renamed."""
    (tmp_path / 'run').mkdir()
    folder = CheckpointFolder(tmp_path / 'run' / 'checkpoints', read_only=False)
    for content in ('first', 'second', 'third'):
        step = tmp_path / 'run' / 'checkpoints' / '5'
        step.mkdir(parents=True)
        (step / 'x').write_text(content)
        folder.set_aside(5)
    damaged = tmp_path / 'run' / 'damaged'
    found = {path.name: (path / 'x').read_text() for path in damaged.iterdir()}
    assert found == {'5': 'first', '5-2': 'second', '5-3': 'third'}
