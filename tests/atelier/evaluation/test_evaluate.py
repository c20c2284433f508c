"""Evaluation: its report, its images, and samples that depend only on seed and index."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import make_run, replaced, without

import train_lib
from atelier import files
from atelier.applications import perform, sample
from atelier.core.abilities import Codes, LogProb, Sample
from atelier.core.randomness import Stream, key_for, rng_for
from atelier.data import dataset, digits
from atelier.errors import UserError
from atelier.evaluation import evaluate, printed
from atelier.run import restore, run_folder


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    run = make_run(tmp_path_factory.mktemp('trained') / 'run', hypers__ema_half_life=500.0)
    train_lib.train(run, jax.devices()[:1])
    return run


def test_the_report_is_the_mean_over_the_whole_split(trained):
    """Recomputed per example from the averaged weights, in one plain batch."""
    result = evaluate.evaluate(trained, jax.devices()[:1])
    _, state, weights_label = restore.load(trained)
    x = jnp.float32(trained.data.splits['test']['x'])
    key = key_for(state.key, Stream.EVALUATE)
    rng = rng_for(key, jnp.arange(len(x)), len(x))
    values = trained.family.metrics(state.averaged_weights, {'x': x}, rng)
    nats = trained.family.ability(LogProb).nats(state.averaged_weights, {'x': x}, rng)
    reported = {name: value['mean'] for name, value in result['values'].items()}
    for name, value in values.items():
        np.testing.assert_allclose(reported[name], np.asarray(value, np.float64).mean(), rtol=1e-5)
    np.testing.assert_allclose(
        reported['nll_nats'], -np.asarray(nats, np.float64).mean(), rtol=1e-5
    )
    bits = reported['nll_nats'] / (64 * np.log(2))
    np.testing.assert_allclose(reported['bits_per_dim'], bits, rtol=1e-6)
    error = np.std(nats, ddof=1) / np.sqrt(447)
    np.testing.assert_allclose(result['values']['nll_nats']['standard_error'], error, rtol=1e-4)
    assert 'averaged' in weights_label


@pytest.mark.slow
def test_the_report_describes_data_weights_and_likelihood(trained):
    evaluate.evaluate(trained)
    result = json.loads((trained.folder / 'evaluation.json').read_text())
    assert result['data']['split'] == 'test'
    assert result['data']['examples'] == 447
    assert result['data']['name'] == 'digits'
    assert result['data']['binarize'] == 'none'
    assert result['log_prob'] == 'estimate, k = 10'
    assert result['weights'].startswith('best checkpoint, step ')
    assert {'jax', 'flax'} <= set(result['versions'])
    assert result['seconds'] > 0
    assert result['git']


@pytest.mark.slow
def test_evaluation_does_not_depend_on_the_device_count_or_batch(trained):
    one = evaluate.evaluate(trained, jax.devices()[:1])['values']
    with trained.config.unlocked():
        before, trained.config.eval.batch_size = trained.config.eval.batch_size, 33
    eight = evaluate.evaluate(trained, jax.devices())['values']
    trained.config.eval.batch_size = before
    for name, value in one.items():
        np.testing.assert_allclose(value['mean'], eight[name]['mean'], rtol=1e-5)


def test_an_empty_split_is_refused(trained):
    empty = {name: array[:0] for name, array in trained.data.splits['test'].items()}
    data = trained.data._replace(splits={**trained.data.splits, 'test': empty})
    with pytest.raises(UserError, match='nothing to evaluate'):
        evaluate.evaluate(trained._replace(data=data))


@pytest.mark.slow
def test_samples_depend_on_seed_and_index_alone(trained):
    few, many = sample.apply(trained, 5, seed=3), sample.apply(trained, 40, seed=3)
    np.testing.assert_array_equal(few, many[:5])
    assert not np.array_equal(few, sample.apply(trained, 5, seed=4))
    assert many.shape == (40, 8, 8, 1)
    stored = np.load(trained.folder / 'samples' / 'seed-3.npz')['x']
    np.testing.assert_array_equal(stored, many)
    assert (trained.folder / 'samples' / 'seed-3.png').stat().st_size > 200


def test_a_family_without_sampler_or_decoder_is_refused(trained):
    codes = trained.family.ability(Codes)._replace(decode=None)
    silent = trained._replace(family=replaced(without(trained.family, Sample), codes))
    with pytest.raises(UserError, match='no sampler or decoder'):
        perform(sample.APPLICATION, silent, num_samples=5)


def test_pictures_of_a_run_are_written(trained):
    names = {path.name for path in (trained.folder / 'samples').glob('*.png')}
    assert {'samples-0000020.png', 'reconstructions-0000010.png'} <= names


@pytest.mark.slow
@pytest.mark.parametrize('binarize', ['threshold', 'stochastic'])
def test_binarised_digits_are_binary_and_their_bernoulli_is_a_likelihood(tmp_path, binarize):
    run = make_run(tmp_path / 'run', data__binarize=binarize, model__observation='bernoulli')
    assert run.data.spec.levels == 2
    raw = {name: jnp.asarray(a[:50]) for name, a in run.data.splits['train'].items()}
    draw = lambda seed: rng_for(jax.random.PRNGKey(seed), jnp.arange(50), 50).keys
    first, second = (np.asarray(run.data.preprocess(raw, draw(s))['x']) for s in (0, 1))
    assert set(np.unique(first)) == {0.0, 1.0}
    assert np.array_equal(first, second) == (binarize == 'threshold')
    if binarize == 'threshold':
        np.testing.assert_array_equal(first, raw['x'] > 8)
    train_lib.train(run, jax.devices()[:2])
    result = evaluate.evaluate(run)
    assert result['data']['binarize'] == binarize
    assert 0 < result['values']['nll_nats']['mean'] < 64 * np.log(2) + 5


def test_stochastic_binarisation_has_the_right_mean():
    data = dataset.binarized(digits.load(), 'stochastic')
    raw = {'x': jnp.tile(data.splits['train']['x'][:1], (4000, 1, 1, 1))}
    keys = rng_for(jax.random.PRNGKey(0), jnp.arange(4000), 4000).keys
    chance = raw['x'][0] / 16
    mean = np.mean(data.preprocess(raw, keys)['x'], axis=0)
    assert np.all(np.abs(mean - chance) <= 5 * np.sqrt(chance * (1 - chance) / 4000))


@pytest.mark.slow
def test_an_evaluation_that_replaces_another_one_says_so(trained, caplog):
    """That of other weights, such as those before the run was trained further."""
    path = trained.folder / 'evaluation.json'
    result = evaluate.evaluate(trained, jax.devices()[:1])
    files.write_json(path, {**result, 'weights': 'best checkpoint, step 1'})
    with caplog.at_level('INFO', logger='atelier'):
        evaluate.evaluate(trained, jax.devices()[:1])
    assert 'evaluation.json is replaced: it was computed with other weights' in caplog.text


@pytest.mark.slow
def test_an_evaluation_with_other_settings_has_its_own_files(trained, caplog):
    """Their names carry the settings; a comparison reads those of the run's own settings."""
    results = lambda: {path.name: path.read_bytes() for path in trained.folder.glob('evaluation*')}
    own = evaluate.evaluate(trained, jax.devices()[:1])
    before = results()
    assert {*before} == {'evaluation.json', 'evaluation.npz'}
    with np.load(trained.folder / 'evaluation.npz') as stored:
        assert {len(stored[name]) for name in stored.files} == {trained.data.size('test')}
        assert {*stored['file']} == {'digits test'} and stored['row'][-1] == len(stored['row']) - 1
    run = run_folder.reopen(
        trained.folder, {'eval.num_importance_samples': 2, 'eval.weights': 'last'}
    )
    with caplog.at_level('INFO', logger='atelier'):
        result = evaluate.evaluate(run, jax.devices()[:1])
        printed.show(result, run)
    assert 'is replaced' not in caplog.text
    name = 'evaluation-num_importance_samples-2-weights-last'
    assert f'numbers: {trained.folder / name}.json' in caplog.text
    added = {key: value for key, value in results().items() if key not in before}
    assert {*added} == {f'{name}.json', f'{name}.npz'}
    assert {key: results()[key] for key in before} == before
    assert files.read_json(trained.folder / f'{name}.json') == result != own
    assert evaluate.evaluate(run, jax.devices()[:1], reuse=True) == result
