"""The copy of a parent: whole or absent, and refused by name if it is not what was copied."""

import json
import os
import shutil

import jax
import pytest
from malicious_files import edit
from support import assembled, begin, contents

import train_lib
from atelier import files, leftovers
from atelier.errors import UserError
from atelier.run import parent_codes, parent_copy, run_folder

ONCE = {
    f'train__{name}': 2
    for name in ('steps', 'evaluate_every', 'checkpoint_every', 'steps_per_dispatch')
}


@pytest.fixture(scope='module')
def parent(tmp_path_factory):
    """The folder of a run. Tests must not modify it."""
    changes = dict(data__dequantize='uniform', model__latent_dim=2, **ONCE)
    run = assembled(tmp_path_factory.mktemp('parent') / 'run', 'ppca', 'digits,debug', **changes)
    train_lib.train(run, jax.devices()[:1])
    return run.folder


def assembled_child(parent, folder):
    changes = dict(data__run=str(parent), model__latent_dim=1, **ONCE)
    return assembled(folder, 'ppca', 'codes,debug', **changes)


@pytest.fixture(scope='module')
def begun(parent, tmp_path_factory):
    """The folder of a run of its codes, which has begun. Tests must not modify it."""
    run = assembled_child(parent, tmp_path_factory.mktemp('child') / 'run')
    begin(run)
    return run.folder


@pytest.fixture
def child(begun, tmp_path):
    """A copy of the run of codes."""
    return shutil.copytree(begun, tmp_path / 'run')


def complaint(folder):
    with pytest.raises(UserError) as error:
        run_folder.reopen(folder, reads=None)
    return str(error.value)


def test_the_copy_is_a_run_that_opens(child, parent):
    """It has the checkpoint whose weights made the codes, as it was, and nothing more."""
    copy = child / parent_copy.FOLDER
    assert run_folder.reopen(copy, reads=None).data.name == 'digits'
    assert {path.name for path in copy.iterdir()} == {'config.json', 'data.json', 'checkpoints'}
    kept = contents(parent)
    assert contents(copy) == {name: kept[name] for name in contents(copy)}
    assert not any(leftovers.is_temporary_file(path) for path in child.iterdir())


def test_a_changed_parent_is_refused(child):
    """Its config, its weights, or a checkpoint that was added."""
    copy = child / parent_copy.FOLDER
    weights = max(copy.rglob('*'), key=lambda path: path.is_file() and path.stat().st_size)
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert f'{copy} is not the run whose codes {child} models' in complaint(child)
    weights.write_bytes(whole)
    run_folder.reopen(child, reads=None)
    (copy / 'checkpoints' / '7').mkdir()
    (copy / 'checkpoints' / '7' / 'state').write_text('')
    assert 'is not the run whose codes' in complaint(child)


def test_what_no_digest_covers_is_refused(child):
    """A file or a folder that no copy has, an empty folder, and another step in config.json."""
    copy = child / parent_copy.FOLDER
    (copy / 'notes').mkdir()
    assert f'{copy / "notes"} is not of the copy of a parent' in complaint(child)
    (copy / 'notes').rmdir()
    (step,) = (copy / 'checkpoints').iterdir()
    for empty in (copy / 'checkpoints' / '7', step / 'nothing'):
        empty.mkdir()
        assert f'{copy} is not the run whose codes {child} models' in complaint(child)
        empty.rmdir()
    run_folder.reopen(child, reads=None)
    record = json.loads((child / 'config.json').read_text())['parent']
    edit(child / 'config.json', parent={**record, 'step': record['step'] + 1})
    assert f'{copy} is not the run whose codes {child} models' in complaint(child)


def test_a_missing_parent_is_refused(child):
    """Wholly or in part; no other run is opened in its place."""
    shutil.rmtree(child / parent_copy.FOLDER / 'checkpoints')
    assert 'is not the run whose codes' in complaint(child)
    shutil.rmtree(child / parent_copy.FOLDER)
    assert f'{child / parent_copy.FOLDER} is missing' in complaint(child)


def test_hostile_parents_are_refused(child, tmp_path):
    """Links and pipes, in place of the copy or inside it."""
    copy = child / parent_copy.FOLDER
    os.mkfifo(copy / 'data.pipe')
    assert 'data.pipe is neither a regular file nor a folder' in complaint(child)
    (copy / 'data.pipe').unlink()
    (copy / 'checkpoints').rename(tmp_path / 'elsewhere')
    (copy / 'checkpoints').symlink_to(tmp_path / 'elsewhere')
    assert f'{copy / "checkpoints"} is a symbolic link' in complaint(child)
    (copy / 'checkpoints').unlink()
    copy.rename(tmp_path / 'parent')
    copy.symlink_to(tmp_path / 'parent')
    assert f'{copy} is a symbolic link' in complaint(child)


def test_a_copy_that_no_memory_holds_is_refused(child):
    """Before it is read: a file with holes takes no space on a disk."""
    with open(child / parent_copy.FOLDER / 'checkpoints' / 'hole', 'wb') as file:
        file.truncate(2**43)
    assert 'bytes, more than this machine has memory' in complaint(child)


def test_another_run_in_the_config_is_refused(child, parent, tmp_path):
    """Its codes are not those of the copy. The same run elsewhere, or none, changes nothing."""
    config = run_folder.reopen(child, reads=None).child.config
    copies = [shutil.copytree(parent, tmp_path / name) for name in ('moved', 'other')]
    edit(copies[1] / 'config.json', id='0' * 32)

    def source(folder):
        with config.unlocked():
            config.data.run = str(folder)
        return parent_codes.opened(child, config)[0].run.folder

    assert {source(folder) for folder in (copies[0], tmp_path / 'gone')} == {child / 'parent'}
    with pytest.raises(UserError, match=f'config.data.run={copies[1]} is another run'):
        source(copies[1])


def test_another_run_of_an_earlier_version_is_refused(parent, tmp_path, caplog):
    """It has no id: its files are compared. A path without a run is named, and changes nothing."""
    sources = [shutil.copytree(parent, tmp_path / name) for name in ('parent', 'moved', 'other')]
    for source in sources:
        edit(source / 'config.json', id=None)
    edit(sources[2] / 'config.json', git='0' * 40)
    run = assembled_child(sources[0], tmp_path / 'run')
    begin(run)

    def source(folder):
        with run.config.unlocked():
            run.config.data.run = str(folder)
        return parent_codes.opened(run.folder, run.config)[0].run.folder

    assert source(sources[1]) == run.folder / 'parent' and not caplog.records
    assert source(tmp_path / 'gone') == run.folder / 'parent'
    assert f'config.data.run={tmp_path / "gone"} is no run: its copy' in caplog.text
    with pytest.raises(UserError, match=f'config.data.run={sources[2]} is another run'):
        source(sources[2])


@pytest.mark.parametrize(
    'stored',
    [None, 3, {'digest': 'a' * 64}, {'digest': 'A' * 64, 'step': 1}, {'digest': '', 'step': 1}],
)
def test_records_that_the_program_does_not_write_are_refused(child, stored):
    edit(child / 'config.json', parent=stored)
    assert 'config.json is damaged: parent is' in complaint(child)


def test_a_record_of_other_codes_is_refused(child):
    """Before anything of that shape is computed."""
    record = files.read_json(child / 'config.json')
    spec, shapes = record['spec'], record['train_shapes']
    for array in ('x', 'posterior_std'):
        shapes[array]['shape'][1] = 5
    edit(
        child / 'config.json',
        spec={**spec, 'event_shape': [5], 'mean': [0.0] * 5, 'std': [1.0] * 5},
        train_shapes=shapes,
        data={**record['data'], 'x': record['data']['x'].replace('(2,)', '(5,)')},
    )
    assert 'it describes 5 codes, and the parent has 2 codes' in complaint(child)


def test_a_kill_while_copying_leaves_no_parent(parent, tmp_path, monkeypatch):
    """The same command then copies it; the half copy is removed."""

    class Killed(BaseException):
        pass

    def kill(source, target):
        raise Killed

    run = assembled_child(parent, tmp_path / 'run')
    monkeypatch.setattr(leftovers.shutil, 'rmtree', lambda *arguments, **options: None)
    monkeypatch.setattr(parent_copy.os, 'replace', kill)
    run.folder.mkdir()
    with pytest.raises(Killed):
        parent_copy.write(run, False)
    monkeypatch.undo()
    half = [path.name for path in run.folder.iterdir()]
    assert len(half) == 1
    assert half[0].startswith(leftovers.PREFIX)
    assert not run_folder.has_begun(run.folder)
    run_folder.write_config(run, 1)
    assert {path.name for path in run.folder.iterdir()} == {'config.json', parent_copy.FOLDER}
    assert parent_copy.digest_of(run.folder / parent_copy.FOLDER) == run.parent.digest


def test_a_parent_that_changes_meanwhile_is_refused(parent, tmp_path):
    """Between the reading of the codes and the copying."""
    source = shutil.copytree(parent, tmp_path / 'parent')
    run = assembled_child(source, tmp_path / 'run')
    (source / 'data.json').write_text('{}')
    with pytest.raises(UserError, match='was changed while its codes were read'):
        train_lib.train(run, jax.devices()[:1])
    assert not (run.folder / parent_copy.FOLDER).exists()


def test_a_run_that_has_not_begun_takes_another_parent(parent, tmp_path):
    """The copy is replaced; after the first checkpoint it stays."""
    run = assembled_child(parent, tmp_path / 'run')
    run.folder.mkdir()
    run_folder.write_config(run, 1)
    other = shutil.copytree(parent, tmp_path / 'other')
    (other / 'data.json').write_text('{}')
    again = assembled_child(other, run.folder)
    mine = run.folder / parent_copy.FOLDER / 'metrics.jsonl'
    mine.write_text('')  # a run of this name, trained in this folder
    with pytest.raises(UserError, match='is not the copy of a parent: move it away'):
        run_folder.write_config(again, 1)
    mine.unlink()
    run_folder.write_config(again, 1)
    assert parent_copy.digest_of(run.folder / parent_copy.FOLDER) == again.parent.digest
    assert again.parent.digest != run.parent.digest
    (run.folder / 'metrics.jsonl').write_text('{"step": 1}\n')
    with pytest.raises(UserError, match='the data of .* have changed since it began'):
        run_folder.write_config(run, 1)
    with pytest.raises(UserError, match='is not the run whose codes'):
        parent_copy.write(run, True)
