"""Ranks are uniform for a model that is exactly right, and not for one that is slightly wrong."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, with_abilities

import train_lib
from atelier.applications import calibrate, load, perform
from atelier.core.abilities import Sample
from atelier.core.randomness import standard_normal
from atelier.data.conditions.condition import KEY
from atelier.data.simulators import gaussian_linear_posterior
from atelier.run import restore

MEAN_OF = jnp.asarray(gaussian_linear_posterior(np.eye(4))[0], jnp.float32)  # linear in the data
ROOT = jnp.asarray(np.linalg.cholesky(gaussian_linear_posterior(np.eye(4))[1]), jnp.float32)
FEW = dict(num_examples=40, num_samples=7, num_bins=4)


@pytest.fixture
def posterior(tmp_path, one_device, untrained):
    """Function: scale, shift -> a run whose samples are the exact posterior, changed by both."""

    def run(scale=1.0, shift=0.0):
        def draw(weights, rng, condition):
            noise = standard_normal(rng.keys, 3)
            return condition[KEY] @ MEAN_OF + scale * noise @ ROOT.T + shift

        plain = assembled(tmp_path, 'posterior', 'gaussian_linear,debug')
        return with_abilities(plain, Sample(draw, reads_condition=True))

    return run


def results_of(run):
    (path,) = (run.folder / 'applications').glob('calibrate*.json')
    return json.loads(path.read_text())


def test_ranks_of_the_exact_posterior_are_uniform(posterior):
    run = posterior()
    arrays = perform(load('calibrate'), run)
    assert arrays['ranks'].shape == (1000, 3) and arrays['ranks'].max() == 99
    assert (arrays['counts'].sum(1) == 1000).all()
    results = results_of(run)
    assert results['smallest_p_value_corrected'] > 0.01
    assert results['share_of_bins_outside'] < 0.05
    np.testing.assert_allclose(results['coverage'], results['levels'], atol=0.03)
    endings = {path.suffix for path in (run.folder / 'applications').glob('calibrate-seed-0.*')}
    assert endings == {'.npz', '.json', '.png'}


@pytest.mark.parametrize(
    ('change', 'covers'),
    [(dict(scale=1.25), 0.94), (dict(scale=0.8), 0.84), (dict(shift=0.15), None)],
    ids=['too wide', 'too narrow', 'shifted'],
)
def test_ranks_of_a_wrong_posterior_are_not_uniform(posterior, change, covers):
    run = posterior(**change)
    arrays = perform(load('calibrate'), run)
    assert (arrays['p_value'] < 1e-3).all()
    counts = arrays['counts']
    ends, middle = counts[:, [0, -1]].sum(1), counts[:, 9:11].sum(1)
    if change.get('scale'):
        assert ((ends > middle) == (change['scale'] < 1)).all()
        (nine_tenths,) = np.flatnonzero(np.isclose(arrays['levels'], 0.9))
        assert abs(arrays['coverage'][nine_tenths].mean() - covers) < 0.03
    else:
        assert (counts[:, 0] > 1.5 * counts[:, -1]).all()


def test_more_samples_append_and_batches_do_not_matter(posterior):
    run = posterior()
    trained, index = restore.load(run), np.array([5, 3, 1, 400])
    few, more = (calibrate.compute(trained, index, n) for n in (5, 9))
    assert ((few <= more) & (more <= few + 4)).all()
    run.config.eval.batch_size = 3
    np.testing.assert_array_equal(calibrate.compute(restore.load(run), index, 9), more)
    assert (calibrate.compute(trained, index, 9, seed=1) != more).any()


def test_examples_whose_samples_are_nan_are_left_out(posterior, complaint, caplog):
    """Their rank would be 0; without the others there is no calibration."""
    run = posterior(shift=jnp.where(jnp.arange(3) == 1, jnp.nan, 0.0))
    assert '40 of 40 examples have no ranks' in complaint(perform, load('calibrate'), run, **FEW)
    assert not any((run.folder / 'applications').glob('calibrate*'))
    split = run.data.splits['test']
    split['x'] = np.array(split['x'])
    split['x'][::10, 0] = np.nan
    with caplog.at_level('WARNING', logger='atelier'):
        arrays = perform(load('calibrate'), posterior()._replace(data=run.data), **FEW)
    count = len(arrays['ranks'])
    assert 20 <= count < 40 and len(arrays['index']) == count and (arrays['index'] % 10 > 0).all()
    assert (arrays['ranks'] >= 0).all() and (arrays['counts'].sum(1) == count).all()
    assert f'{40 - count} of 40 examples have no ranks' in caplog.text


@pytest.mark.slow
def test_of_a_flow_given_its_label_all_dimensions_are_ranked(tmp_path, one_device):
    run = assembled(tmp_path / 'run', 'maf', model__is_conditional=True, train__steps=2)
    train_lib.train(run, jax.devices()[:1])
    arrays = perform(load('calibrate'), run, **FEW)
    assert arrays['ranks'].shape == (40, 64) and arrays['label'].shape == (40,)
    assert any((run.folder / 'applications').glob('calibrate*.png'))


@pytest.mark.usefixtures('untrained')
def test_other_families_are_refused_in_one_line(tmp_path, complaint):
    application = load('calibrate')
    plain = assembled(tmp_path, 'maf', 'eight_gaussians,debug')
    assert 'its samples read no condition' in complaint(perform, application, plain)
    assert 'has no sampler' in complaint(perform, application, assembled(tmp_path, 'classifier'))
    assert 'discrete levels' in complaint(perform, application, assembled(tmp_path, 'cvae'))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(num_samples=100), '--num_samples=100: there is one more rank than samples'),
        (dict(num_bins=1), '--num_bins=1: it must be at least 2'),
        (dict(num_examples=99), '--num_examples=99: it must be at least 100'),
        (dict(num_samples=0, num_bins=2), '--num_samples=0'),
        (dict(seed=-1), '--seed=-1'),
    ],
)
def test_bad_options_end_in_one_line(posterior, complaint, options, message):
    assert message in complaint(perform, load('calibrate'), posterior(), **options)
