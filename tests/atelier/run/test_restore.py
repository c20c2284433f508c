"""A run that starts from another run's weights: which weights, refusals, and what is recorded."""

import contextlib
import json
import logging
import os
import shutil

import jax
import numpy as np
import pytest
from support import begin, error_line, recipe_and_config

import train_lib
from atelier import checkout, files
from atelier.errors import UserError
from atelier.run import experiment, restore, run_folder
from atelier.run.checkpoint import Checkpoints

ROOT = checkout.ROOT
DEBUG = f'--config={ROOT}/configs/vae.py:debug'


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """The folder of a finished run whose averaged weights differ from its raw ones."""
    config_file, config = recipe_and_config(train__steps=10, hypers__ema_half_life=100.0)
    folder = tmp_path_factory.mktemp('source') / 'run'
    train_lib.train(experiment.assemble(folder, config_file, config), jax.devices()[:1])
    return folder


def started_from(source, folder, **changes):
    config_file, config = recipe_and_config(train__steps=10, seed=5, **changes)
    run_folder.check_same(folder, config_file, config, str(source))
    return experiment.assemble(folder, config_file, config, init_from=str(source))


def first_line(folder):
    """The first metrics of a run, without the times that no run repeats."""
    line = json.loads((folder / 'metrics.jsonl').read_text().split('\n')[0])
    return {name: value for name, value in line.items() if not name.startswith('time/')}


def weights(state):
    return jax.device_get((state.params, state.ema, state.extra))


def test_a_run_starts_with_the_weights_that_an_evaluation_of_the_source_uses(source, tmp_path):
    """The averaged weights of the best checkpoint; all else is as in a new run."""
    run = started_from(source, tmp_path / 'run')
    fresh = restore.initial_state(run)
    start = restore.Start(run)(run)
    state = restore.load(run_folder.reopen(source)).state
    plain, averaged = jax.device_get((state.params, state.ema))
    assert any(
        np.any(a != b) for a, b in zip(*map(jax.tree.leaves, (plain, averaged)), strict=True)
    )
    jax.tree.map(np.testing.assert_array_equal, weights(start), (averaged, averaged, state.extra))
    for name in ('step', 'key', 'opt', 'hypers'):
        jax.tree.map(np.testing.assert_array_equal, getattr(start, name), getattr(fresh, name))


def test_the_members_of_a_sweep_read_the_weights_once(source, tmp_path, monkeypatch):
    """They share no buffers, because each State is donated."""
    run, read = started_from(source, tmp_path / 'run'), []
    original = restore.fitting_weights
    monkeypatch.setattr(
        restore, 'fitting_weights', lambda *arguments: read.append(1) or original(*arguments)
    )
    start = restore.Start(run)
    first, second = start(run), start(run)
    assert len(read) == 1
    jax.tree.map(np.testing.assert_array_equal, weights(first), weights(second))
    addresses = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves((first.ema, second.ema))]
    assert len(addresses) == len(set(addresses))


@pytest.mark.slow
def test_training_starts_from_the_source_and_does_not_change_it(source, tmp_path):
    """Its first loss is below a new run's; a restart without checkpoints starts there again."""
    before = {path: path.read_bytes() for path in source.rglob('*') if path.is_file()}
    folder = tmp_path / 'run'
    one = jax.devices()[:1]
    train_lib.train(started_from(source, folder), one)
    begun = first_line(folder)
    shutil.rmtree(folder / 'checkpoints')
    train_lib.train(run_folder.reopen(folder), one)  # config.json names the source
    assert first_line(folder) == begun
    new = recipe_and_config(train__steps=10, seed=5)
    train_lib.train(experiment.assemble(tmp_path / 'new', *new), one)
    assert begun['train/loss'] < first_line(tmp_path / 'new')['train/loss']
    assert {path: path.read_bytes() for path in source.rglob('*') if path.is_file()} == before


def test_weights_of_other_shapes_are_refused_and_leave_no_folder(source, tmp_path):
    run = started_from(source, tmp_path / 'run', model__latent_dim=3)
    with pytest.raises(UserError, match=r'do not fit: model/decoder/.*\(2, 16\) there, \(3, 16\)'):
        train_lib.train(run, jax.devices()[:1])
    assert not (tmp_path / 'run').exists()


def test_a_source_without_a_checkpoint_is_refused(tiny_run, tmp_path):
    run = tiny_run(tmp_path / 'untrained')
    (tmp_path / 'untrained').mkdir()
    run_folder.write_config(run, 1)
    with pytest.raises(UserError, match='untrained has no checkpoint yet'):
        train_lib.train(started_from(tmp_path / 'untrained', tmp_path / 'run'), jax.devices()[:1])
    assert not (tmp_path / 'run').exists()


def test_of_a_source_of_an_earlier_version_a_line_says_so(source, tmp_path, caplog):
    """Neither its config.json nor its checkpoints have the id of the run."""
    folder = tmp_path / 'source'
    shutil.copytree(source, folder)
    record = files.read_json(folder / 'config.json')
    files.write_json(folder / 'config.json', {**record, 'id': None})
    with contextlib.closing(Checkpoints(folder / 'checkpoints', True)) as checkpoints:
        state, memory = checkpoints.restore_newest(None)
    shutil.rmtree(folder / 'checkpoints')
    with contextlib.closing(Checkpoints(folder / 'checkpoints')) as checkpoints:
        checkpoints.save(state, memory)
    run = started_from(folder, tmp_path / 'run')
    with caplog.at_level(logging.INFO, 'atelier'):
        restore.fitting_weights(run, folder)
    assert caplog.text.count('has no id of its run, because an earlier version saved it') == 1


def test_a_run_with_another_init_from_is_refused(source, tmp_path):
    folder = tmp_path / 'run'
    run = started_from(source, folder)
    begin(run)
    config_file, config = run.config_file, run.config
    with pytest.raises(UserError, match=f'began with {source}, not with random weights'):
        run_folder.check_same(folder, config_file, config)
    run_folder.check_same(folder, config_file, config, str(source))


@pytest.mark.slow
def test_on_the_command_line(main, source, tmp_path):
    """A relative path becomes absolute; a run reopened by --workdir alone refuses --init_from."""
    flags = [DEBUG, '--config.train.steps=5', '--workdir=run']
    line = error_line(main(*flags, '--init_from=nothing', cwd=tmp_path))
    assert '--init_from: ' in line
    assert 'nothing does not exist' in line
    assert '--init_from is empty' in error_line(main(*flags, '--init_from=', cwd=tmp_path))
    result = main(*flags, f'--init_from={os.path.relpath(source, tmp_path)}', cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert f'starting from the weights of {source}' in result.stdout
    line = error_line(main('--workdir=run', f'--init_from={source}', cwd=tmp_path))
    assert '--init_from is for a new run' in line
    result = main(*flags, f'--init_from={source}', cwd=tmp_path)
    assert 'is finished at step 5' in result.stdout
