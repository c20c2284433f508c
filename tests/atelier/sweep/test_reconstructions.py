"""Reconstructions by members of a sweep that differ in the model."""

import numpy as np
import pytest
from PIL import Image
from support import recipe_and_config, with_abilities

from atelier.applications import perform, reconstruct
from atelier.core.abilities import Reconstruct, Sample
from atelier.core.code_space import code_space
from atelier.errors import UserError
from atelier.run import restore
from atelier.run.experiment import Parent
from atelier.sweep import plan, reconstructions, sweep


def shrinking(run, folder, factor):
    """Returns `run` in a folder; its model reconstructs `factor` times x."""
    ability = Reconstruct(lambda weights, batch, rng: factor * batch['x'])
    return with_abilities(run, ability)._replace(folder=folder)


def members_of(run, folder, settings):
    """Returns runs, settings and rows by member; member i multiplies x by 1 / (i + 1)."""
    names = [f'member-{i}' for i in range(len(settings))]
    runs = {name: shrinking(run, folder / name, 1 / (i + 1)) for i, name in enumerate(names)}
    rows = [{'member': name, 'status': 'finished'} for name in names]
    return runs, dict(zip(names, settings, strict=True)), rows


SIZES = [{'model.latent_dim': size, 'seed': seed} for size in (2, 4, 8) for seed in (0, 1)]


def test_a_row_shows_the_first_seed_of_each_size(vae, tmp_path, untrained, caplog):
    """Of reconstructions by a factor, the error is known; it is of up to 1,000 examples."""
    with caplog.at_level('INFO', logger='atelier'):
        reconstructions.show(tmp_path, *members_of(vae, tmp_path, SIZES))
    arrays = np.load(tmp_path / 'reconstructions.npz')
    assert [*arrays['setting']] == ['latent_dim 2', 'latent_dim 4', 'latent_dim 8']
    x = vae.data.splits['valid']['x'][arrays['index']].astype(np.float64)
    np.testing.assert_array_equal(arrays['x'], x)
    factors = np.array([1, 1 / 3, 1 / 5])
    np.testing.assert_allclose(
        arrays['reconstruction'], factors[:, None, None, None, None] * x, rtol=1e-5
    )
    total = 0.5 * np.sum((vae.data.splits['valid']['x'] / 16.0) ** 2) / vae.data.size('valid')
    means = arrays['half_squared_error'].mean(1)
    np.testing.assert_allclose(means, total * (1 - factors) ** 2, rtol=1e-5)
    assert Image.open(tmp_path / 'reconstructions.png').width > 400
    assert f'figure: {tmp_path}/reconstructions.png' in caplog.text


def test_rows_are_named_by_setting_and_error(vae, tmp_path, untrained, monkeypatch):
    named = {}

    def rows(x, spec, title, row_names, column_names):
        named.update(x=x, title=title, rows=row_names)
        return np.zeros((4, 4, 1), np.uint8)

    view = reconstructions.IMAGES._replace(rows=rows)
    monkeypatch.setattr(reconstructions, 'IMAGES', view)
    settings = [
        {'model.latent_dim': 2, 'model.hidden_sizes': (64,), 'hypers.beta': 1.0},
        {'model.latent_dim': 2, 'model.hidden_sizes': (8, 8), 'hypers.beta': 1.0},
    ]
    reconstructions.show(tmp_path, *members_of(vae, tmp_path, settings))
    assert named['rows'][:2] == ['original', 'hidden_sizes (64,): 0.000']
    assert named['rows'][2].startswith('hidden_sizes (8, 8): ')
    np.testing.assert_array_equal(named['x'][0], named['x'][1])  # the first member multiplies by 1
    assert 'validation examples' in named['title']


def test_codes_of_another_run_are_no_images(vae, tmp_path):
    """Though a map of them has the shape of one."""
    runs, settings, rows = members_of(vae, tmp_path, SIZES)
    assert reconstructions.compared(runs, settings, rows)[0]
    parent = Parent(vae, '0' * 64, 0, code_space(vae.family, 'auto', 'RUN'))
    of_codes = {name: run._replace(parent=parent) for name, run in runs.items()}
    assert reconstructions.compared(of_codes, settings, rows) == ([], [])


@pytest.mark.parametrize('status', ['failed', 'finished', 'unfinished'])
def test_a_sweep_is_shown_when_it_is_over(vae, tmp_path, status):
    """A failed member has no row; its next seed takes its place."""
    runs, settings, rows = members_of(vae, tmp_path, SIZES)
    rows[2]['status'] = status
    fields, members = reconstructions.compared(runs, settings, rows)
    expected = {
        'failed': ['member-0', 'member-3', 'member-4'],
        'finished': ['member-0', 'member-2', 'member-4'],
        'unfinished': [],
    }
    assert members == expected[status]
    assert fields == (['model.latent_dim'] if members else [])


def test_members_of_one_model_have_no_picture(vae, gan, tmp_path):
    settings = [{'hypers.beta': beta, 'model.latent_dim': 2} for beta in (0.5, 1.0)]
    assert reconstructions.compared(*members_of(vae, tmp_path, settings)) == ([], [])
    runs, named, rows = members_of(vae, tmp_path, SIZES)
    sampled = with_abilities(vae, Sample(lambda weights, rng, condition: None))
    assert reconstructions.compared({**runs, 'member-1': sampled}, named, rows) == ([], [])
    others = {**runs, 'member-1': runs['member-1']._replace(data=gan.data)}
    assert reconstructions.compared(others, named, rows) == ([], [])


def test_only_the_first_settings_are_shown(vae, tmp_path, caplog):
    settings = [{'model.latent_dim': size} for size in range(1, 16)]
    with caplog.at_level('INFO', logger='atelier'):
        _, members = reconstructions.compared(*members_of(vae, tmp_path, settings))
    assert members == [f'member-{i}' for i in range(12)]
    assert '3 more settings left out' in caplog.text


def test_a_damaged_member_is_left_out(vae, tmp_path, untrained, monkeypatch, caplog):
    load = restore.load

    def damaged(run):
        if run.folder.name in ('member-0', *broken):
            raise UserError('its checkpoint is damaged')
        return load(run)

    broken = []
    monkeypatch.setattr(reconstructions.restore, 'load', damaged)
    reconstructions.show(tmp_path, *members_of(vae, tmp_path, SIZES))
    assert len(np.load(tmp_path / 'reconstructions.npz')['setting']) == 2
    assert 'member-0 left out: its checkpoint is damaged' in caplog.text
    broken += ['member-2', 'member-4']
    reconstructions.show(tmp_path / 'none', *members_of(vae, tmp_path, SIZES))
    assert not (tmp_path / 'none').exists()


@pytest.mark.slow
def test_the_errors_are_those_of_the_members(tmp_path):
    """As --mode=reconstruct --split=valid gives them."""
    settings = dict(train__steps=20, train__evaluate_every=20, train__checkpoint_every=20)
    recipe = recipe_and_config(**settings)
    prepared = sweep.prepare(tmp_path, *recipe, ['model.latent_dim=1,3'])
    sweep.train(prepared, plan.shard_of(''))
    arrays = np.load(tmp_path / 'reconstructions.npz')
    for error, run in zip(arrays['half_squared_error'], prepared.runs.values(), strict=True):
        perform(reconstruct.APPLICATION, run, split='valid')
        (path,) = (run.folder / 'applications').glob('reconstruct-seed-0*.csv')
        columns = np.genfromtxt(path, delimiter=',', names=True)
        assert error.mean() == pytest.approx(columns['half_squared_error'].mean(), rel=1e-5)
