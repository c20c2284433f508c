"""Paths in a config are absolute in a run, and compared as such."""

import json
import pathlib

import pytest
from support import assembled, begin, recipe_and_config

from atelier import checkout
from atelier.data.augmentation_settings import NO_AUGMENTATION
from atelier.errors import UserError
from atelier.run import config_values, run_folder
from atelier.run.config_comments import field_comments
from atelier.run.config_values import is_path, with_absolute_paths
from atelier.run.experiment import assemble


@pytest.mark.parametrize('config', checkout.configs())
def test_a_field_with_a_path_is_recognised_by_its_name(config):
    """All others have comments that speak of no file and no folder."""
    file = checkout.ROOT / config
    values = config_values.flatten(checkout.config_file(f'{file}:debug').config().to_dict())
    for name, comment in field_comments(file).items():
        if isinstance(values.get(name), str):
            speaks = any(word in comment.split() for word in ('file', 'folder', 'path'))
            assert is_path(name) == speaks, f'{name}: {comment}'


def test_paths_of_any_field_are_absolute_in_a_run(tmp_path, monkeypatch):
    """In nested groups and lists too; '' is no path, and an address is kept."""
    monkeypatch.chdir(tmp_path)
    values = {
        'seed': 0,
        'data': {'path': '', 'data_dir': 'gs://bucket/data', 'name': 'a/b'},
        'eval': {'classifier': 'cls', 'more': {'mask_file': 'm.npy', 'weight_folders': 'no'}},
        'model': {'init_files': ('a',), 'file': ['a', '/b'], 'path': 3},
    }
    whole = with_absolute_paths(values)
    assert whole['data'] == values['data']
    assert whole['eval'] == {
        'classifier': f'{tmp_path}/cls',
        'more': {'mask_file': f'{tmp_path}/m.npy', 'weight_folders': 'no'},
    }
    assert whole['model'] == {'init_files': ('a',), 'file': [f'{tmp_path}/a', '/b'], 'path': 3}
    assert with_absolute_paths(whole) == whole


def test_a_run_works_from_another_directory(tmp_path, monkeypatch, complaint):
    """Its classifier was given as a relative path; an absolute one is the same on resuming."""
    monkeypatch.chdir(tmp_path)
    which, config = recipe_and_config(eval__classifier='cls')
    with config.unlocked():
        config.model.prior_file = 'prior.npz'
    run = assemble(tmp_path / 'run', which, config)
    assert run.config.eval.classifier == f'{tmp_path}/cls' and config.eval.classifier == 'cls'
    begin(run)
    stored = run_folder.load(run.folder)['values']
    assert stored['eval']['classifier'] == f'{tmp_path}/cls'
    assert stored['model']['prior_file'] == f'{tmp_path}/prior.npz'
    run_folder.check_same(run.folder, which, config)
    run_folder.check_same(run.folder, which, run.config)
    (tmp_path / 'other').mkdir()
    monkeypatch.chdir(tmp_path / 'other')
    assert 'model.prior_file' in complaint(run_folder.check_same, run.folder, which, config)
    opened = run_folder.reopen(run.folder, reads=None)
    assert opened.config.eval.classifier == f'{tmp_path}/cls'


def test_a_run_with_relative_paths_loads(tmp_path, monkeypatch):
    """Earlier versions stored some; they mean what they did: a path from the current directory."""
    monkeypatch.chdir(tmp_path)
    run = assembled(tmp_path / 'run', 'vae')
    run.folder.mkdir()
    run_folder.write_config(run, 1)
    path = run.folder / 'config.json'
    record = json.loads(path.read_text())
    del record['checksum']
    record['values']['eval']['classifier'] = 'cls'
    path.write_text(json.dumps(record))
    assert run_folder.reopen(run.folder).config.eval.classifier == f'{tmp_path}/cls'


def test_a_run_from_before_augmentation_loads_and_continues(tmp_path, complaint):
    """With the values that it implicitly had; a group that is no group is named."""
    run = assembled(tmp_path / 'run', 'vae')
    begin(run)
    path = run.folder / 'config.json'
    record = json.loads(path.read_text())
    del record['checksum'], record['values']['data']['augment'], record['spec']['chiral']
    path.write_text(json.dumps(record))
    run_folder.check_same(run.folder, run.config_file, run.config)
    opened = run_folder.reopen(run.folder, reads=None)
    assert opened.config.data.augment.to_dict() == NO_AUGMENTATION and opened.data.spec.chiral
    for value in ('all', 3, None):
        record['values']['data']['augment'] = value
        path.write_text(json.dumps(record))
        line = complaint(run_folder.reopen, run.folder, reads=None)
        assert 'config.data.augment is' in line and 'not a group of fields' in line


def test_a_config_that_has_moved_is_found_by_the_path_that_the_user_gives(
    tmp_path, monkeypatch, complaint
):
    """With --config or --trust. A file of another name, or one beside it, is another config."""
    monkeypatch.setattr(checkout, '_trusted', set())
    source = 'from configs import vae\nget_config = vae.get_config\nbuild = vae.build\n'
    old, new = (tmp_path / name / 'mine.py' for name in ('old', 'new'))
    for file in (old, new):
        file.parent.mkdir()
        file.write_text(source)
    which = checkout.config_file(f'{old}:digits,debug')
    run = assemble(tmp_path / 'run', which, which.config())
    begin(run)
    moved = checkout.config_file(f'{new}:digits,debug')
    line = complaint(run_folder.check_same, run.folder, moved, run.config)
    assert 'is the run of' in line
    old.unlink()
    run_folder.check_same(run.folder, moved, run.config)
    assert run_folder.reopen(run.folder, reads=None).config_file == moved
    monkeypatch.setattr(checkout, '_trusted', set())
    line = complaint(run_folder.reopen, run.folder)
    assert line.endswith('add --trust=PATH/mine.py, where it is now')
    checkout.trust(new)
    assert run_folder.reopen(run.folder, reads=None).config_file == moved
    assert pathlib.Path(moved.path) == new


def test_a_classifier_that_is_gone_is_named(tmp_path, complaint):
    from atelier.evaluation.samples.features import classifier_for

    run = assembled(tmp_path, 'vae', eval__classifier=str(tmp_path / 'gone'))
    line = complaint(classifier_for, run)
    advice = 'if it has moved, give --config.eval.classifier=RUN, or train one with --config='
    advice += 'configs/classifier.py'
    assert line == f'config.eval.classifier: {tmp_path}/gone does not exist; {advice}'


@pytest.mark.parametrize(
    ('name', 'field', 'value'), [('made', 'is_direct', True), ('maf', 'is_conditional', False)]
)
def test_a_run_from_before_a_field_had_the_value_that_it_implied(tmp_path, name, field, value):
    """Of a field that only some configs have: no other config gets it."""
    now = checkout.ConfigFile(f'configs/{name}.py', None).config().to_dict()
    then = {**now, 'model': dict(now['model'])}
    del then['model'][field]
    config_values.check_same_values(tmp_path, then, now)
    now['model'][field] = not value
    message = rf'model.{field} \(the run: {value}, now: {not value}\)'
    with pytest.raises(UserError, match=message):
        config_values.check_same_values(tmp_path, then, now)
    then['model'][field] = not value
    config_values.check_same_values(tmp_path, then, now)
