"""Names of results contain the settings that change them; options beyond memory are refused."""

import json

import pytest
from support import make_run

from atelier.applications import _common, inpaint, load, sample
from atelier.errors import UserError
from atelier.run import result_names, run_folder


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """The folder of a run that has only a config.json."""
    run = make_run(tmp_path_factory.mktemp('runs') / 'run')
    run.folder.mkdir()
    run_folder.write_config(run, 1)
    return run.folder


@pytest.mark.parametrize(
    ('overrides', 'suffix'),
    [
        ({}, ''),
        ({'eval.batch_size': 7, 'eval.num_pictures': 3}, ''),
        ({'eval.weights': 'best'}, ''),
        ({'eval.weights': 'last'}, '-weights-last'),
        ({'eval.num_importance_samples': 3}, '-num_importance_samples-3'),
    ],
)
def test_changed_settings_are_in_the_name(folder, overrides, suffix):
    """The run's own settings are not, nor are sizes that change no result."""
    run = run_folder.reopen(folder, overrides)
    assert result_names.settings_suffix(run) == suffix


def test_a_checksum_distinguishes_paths(folder, tmp_path, monkeypatch):
    """Relative and absolute paths have one checksum; the same file name elsewhere has another."""
    other = {'eval.classifier': str(tmp_path / 'a' / 'classifier')}
    name = result_names.settings_suffix(run_folder.reopen(folder, other))
    assert len(name) == len('-classifier-') + 8
    monkeypatch.chdir(tmp_path)
    relative = {'eval.classifier': 'a/classifier'}
    assert result_names.settings_suffix(run_folder.reopen(folder, relative)) == name
    relative = {'eval.classifier': 'b/classifier'}
    assert result_names.settings_suffix(run_folder.reopen(folder, relative)) != name


def test_options_are_in_the_name_unless_they_have_their_default():
    """Long and odd values are replaced by a checksum, different for each."""
    default = dict(num_examples=200, num_completions=4)
    assert _common.changed_options(inpaint.apply, **default) == ''
    assert _common.changed_options(inpaint.apply, num_examples=0) == '-num_examples-0'
    assert _common.changed_options(sample.apply, labels='0-1') == '-labels-0-1'
    odd = ['a/b', 'a b', 'é', '../x', 'x' * 25, '']
    names = {result_names.suffix(prompt=value) for value in odd}
    assert len(names) == len(odd)
    assert all(len(name) == len('-prompt-') + 8 and '/' not in name for name in names)


def test_a_run_without_a_config_file_has_the_plain_name(folder, tmp_path):
    """A run assembled in Python need not have been saved."""
    run = run_folder.reopen(folder, {'eval.weights': 'last'})._replace(folder=tmp_path)
    assert result_names.settings_suffix(run) == ''
    assert json.dumps(result_names.changed_settings(run)) == '{}'


@pytest.mark.parametrize(
    ('mode', 'options'),
    [
        ('sample', dict(num_samples=10**12)),
        ('sample', dict(num_samples=2**31 - 1)),
        ('samplers', dict(num_samples=2**31 - 1)),
        ('trajectory', dict(num_samples=2**20, num_points=2**20)),
        ('interpolate', dict(num_pairs=2**64)),
        ('interpolate', dict(num_points=2**31 - 1)),
        ('latent_map', dict(num_points=2**30)),
        ('traverse', dict(num_dims=2**31 - 1)),
        ('traverse', dict(num_points=2**31 - 1)),
        ('inpaint', dict(num_completions=2**31 - 1)),
        ('inpaint', dict(num_images=2**64)),
        ('reconstruct', dict(num_images=2**64)),
        ('super_resolve', dict(num_samples=2**31 - 1)),
    ],
)
def test_options_beyond_memory_are_refused(vae, mode, options):
    """The line names the option and its value, before a checkpoint is read."""
    with pytest.raises(UserError, match='|'.join(f'--{name}={n}' for name, n in options.items())):
        load(mode).apply(vae, **options)


def test_small_options_are_accepted(vae):
    """The limit is the memory of the device."""
    _common.at_least(1, num_samples=1)
    _common.check_outputs(vae, num_samples=1000, num_points=100)
