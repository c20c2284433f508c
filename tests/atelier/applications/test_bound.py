"""Terms of variational bounds: their sum is what an evaluation reports, and their table."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, few_of_test, with_abilities

from atelier.applications import _beside, bound, perform
from atelier.core.abilities import BoundTerms
from atelier.evaluation import evaluate
from atelier.run import restore

pytestmark = pytest.mark.usefixtures('untrained')


def reported(run):
    """The values of an evaluation, of each test example."""
    return evaluate.per_example(run, restore.initial_state(run), jax.devices())


def test_the_terms_of_a_vae_sum_to_its_bound(vae):
    arrays, values = bound.apply(vae), reported(vae)
    np.testing.assert_allclose(arrays['negative_bound_nats'], -values['elbo_nats'], rtol=1e-5)
    np.testing.assert_allclose(arrays['kl_nats'], values['kl_nats'], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        arrays['reconstruction_nats'] + arrays['kl_nats'], arrays['negative_bound_nats'], rtol=1e-6
    )
    stored = np.load(vae.folder / 'applications' / 'bound.npz')
    assert set(stored) == set(arrays)
    header = (vae.folder / 'applications' / 'bound.csv').read_text().split('\n')[0]
    assert header == 'file,row,label,reconstruction_nats,kl_nats,negative_bound_nats'


@pytest.mark.slow
def test_the_terms_of_a_diffusion_model_sum_to_its_bound(tmp_path):
    """The bound is that of log_prob, with the same times and noise."""
    run = few_of_test(assembled(tmp_path, 'diffusion'), 20)
    arrays = bound.apply(run, num_bins=4)
    assert arrays['diffusion_by_time_nats'].shape == (20, 4)
    np.testing.assert_allclose(arrays['negative_bound_nats'], reported(run)['nll_nats'], rtol=1e-5)


@pytest.mark.slow
def test_the_terms_of_a_ladder_are_its_layers(tmp_path):
    run = few_of_test(assembled(tmp_path, 'ladder_vae'), 20)
    arrays, values = bound.apply(run), reported(run)
    for name in ('kl_z1_nats', 'kl_z2_nats'):
        np.testing.assert_allclose(arrays[name], values[name], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(arrays['negative_bound_nats'], -values['elbo_nats'], rtol=1e-5)


def test_times_are_divided_into_bins():
    """A bin holds its upper end, as that of the last step of a discrete process."""
    t = jnp.array([[0.0, 0.1, 0.2, 1.0], [0.15, 0.95, 0.3, 0.3]])
    nats = jnp.array([[1.0, 2.0, 4.0, 8.0], [1.0, 2.0, 4.0, 8.0]])
    expected = np.zeros((2, 10))
    expected[0, [0, 1, 9]] = [0.75, 1.0, 2.0]
    expected[1, [1, 2, 9]] = [0.25, 3.0, 0.5]
    np.testing.assert_allclose(bound.binned(t, nats, 10), expected)
    np.testing.assert_allclose(bound.binned(t, nats, 1)[:, 0], nats.mean(1))


@pytest.mark.parametrize('num_steps', [4, 10, 60, 1000])
def test_steps_of_a_discrete_process_share_the_bins_evenly(num_steps):
    t = (jnp.arange(num_steps, dtype=jnp.float32) + 1) / num_steps
    bins = 10 if num_steps % 10 == 0 else 4
    share = bound.binned(t[None], jnp.ones((1, num_steps)), bins)
    np.testing.assert_allclose(share, np.full((1, bins), 1 / bins), rtol=1e-6)


def three_terms(weights, batch, rng):
    ones = jnp.ones(len(batch['x']))
    return {'prior_nats': 0.5 * ones, 'reconstruction_nats': 2 * ones}


def by_time(weights, batch, rng):
    n = len(batch['x'])
    return jnp.tile(jnp.array([0.25, 0.75]), (n, 1)), jnp.tile(jnp.array([3.0, 5.0]), (n, 1))


def test_rows_go_from_x_to_the_prior(vae, caplog):
    run = with_abilities(vae, BoundTerms(three_terms, by_time))
    with caplog.at_level('INFO', logger='atelier'):
        arrays = bound.apply(run, num_bins=2)
    np.testing.assert_allclose(arrays['diffusion_by_time_nats'], [[1.5, 2.5]] * 447)
    np.testing.assert_allclose(arrays['diffusion_nats'], np.full(447, 4.0))
    np.testing.assert_allclose(arrays['negative_bound_nats'], np.full(447, 6.5))
    (path,) = (run.folder / 'applications').glob('bound-num_bins-2.json')
    (stored,) = json.loads(path.read_text())['runs'].values()
    means = {name: value['mean'] for name, value in stored['nats'].items()}
    assert means == {
        'reconstruction': 2.0,
        't 0 to 0.5': 1.5,
        't 0.5 to 1': 2.5,
        'prior': 0.5,
        'sum': 6.5,
    }
    assert [*means] == ['reconstruction', 't 0 to 0.5', 't 0.5 to 1', 'prior', 'sum']
    assert 'the sum is an upper bound on -log p(x): 447 test examples' in caplog.text
    assert path.with_suffix('.png').stat().st_size > 5000


def test_layers_are_in_the_order_of_their_numbers(vae):
    def layers(weights, batch, rng):
        zeros = jnp.zeros(len(batch['x']))
        return {f'kl_z{layer}_nats': zeros for layer in (10, 2, 1)} | {'reconstruction_nats': zeros}

    arrays = bound.apply(with_abilities(vae, BoundTerms(layers)))
    rows = bound.rows_of({name: array for name, array in arrays.items() if '_nats' in name})
    names = ['reconstruction', 'KL of z1', 'KL of z2', 'KL of z10', 'sum']
    assert [row.name for row in rows] == names


def test_another_run_stands_beside(vae, tmp_path, monkeypatch, complaint):
    """Its terms begin with beside_; it needs the same examples."""
    other = with_abilities(vae, BoundTerms(three_terms))._replace(folder=tmp_path / 'other')
    monkeypatch.setattr(_beside.run_folder, 'reopen', lambda *arguments, **named: other)
    run = with_abilities(vae, BoundTerms(three_terms, by_time))
    arrays = bound.apply(run, beside='other', num_bins=4)
    assert arrays['diffusion_by_time_nats'].shape == (447, 4)
    np.testing.assert_allclose(arrays['beside_negative_bound_nats'], np.full(447, 2.5))
    assert 'beside_diffusion_nats' not in arrays
    (path,) = (run.folder / 'applications').glob('bound-beside-????????-num_bins-4.json')
    assert [*json.loads(path.read_text())['runs']] == [run.folder.name, 'other']
    assert 'that is the run itself' in complaint(bound.apply, other, beside='other')
    binary = other.data._replace(spec=other.data.spec._replace(levels=2))
    monkeypatch.setattr(
        _beside.run_folder, 'reopen', lambda *arguments, **named: other._replace(data=binary)
    )
    line = complaint(bound.apply, run, beside='other')
    assert 'bounds log p(x) of other values' in line and 'levels 2' in line


@pytest.mark.parametrize('num_bins', [0, 101])
def test_bad_options_raise_one_line(vae, complaint, num_bins):
    assert f'--num_bins={num_bins}' in complaint(bound.apply, vae, num_bins=num_bins)


def test_a_missing_ability_is_named(tmp_path, complaint):
    line = complaint(perform, bound.APPLICATION, assembled(tmp_path, 'made'))
    assert 'has no variational bound; modes that fit it: ' in line
