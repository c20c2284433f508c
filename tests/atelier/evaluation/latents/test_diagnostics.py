"""Which latent diagnostics an evaluation reports for each family, and its messages about them."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, replaced, with_abilities, with_unknown_class, without

from atelier import files
from atelier.core.abilities import Codes, LogProb, Sample
from atelier.evaluation import evaluate, printed
from atelier.evaluation.latents.diagnostics import latent_diagnostics
from atelier.evaluation.latents.report import show_latents
from atelier.evaluation.samples import features, sample_quality
from atelier.run import restore

ONE = jax.devices()[:1]
pixels = lambda weights, batch, rng: batch['x'].reshape(len(batch['x']), -1)
OF_POSTERIORS = {
    'active_units',
    'latent_dim',
    'kl_nats',
    'kl_nats_by_dimension',
    'mutual_information_nats',
    'mutual_information_standard_error',
    'mutual_information_limit_nats',
    'marginal_kl_nats',
    'marginal_kl_standard_error',
    'num_paired',
}


def diagnosed(run, devices=ONE):
    return latent_diagnostics(run, restore.initial_state(run), devices)


def with_posterior(run, log_var):
    """Returns `run` with q(z | x) = N(0.1 * pixels of the first row, exp(log_var))."""

    def posterior(weights, batch, rng):
        mean = pixels(weights, batch, rng)[:, :8] * 0.1
        return mean, jnp.full_like(mean, log_var)

    return with_abilities(run, Codes(posterior=posterior))


def messages_of(diagnostics, caplog):
    caplog.clear()
    with caplog.at_level('INFO', logger='atelier'):
        show_latents(diagnostics)
    return caplog.text


def test_a_vae_has_all_diagnostics_and_its_kl_equals_the_metric(vae):
    diagnostics = diagnosed(vae)
    assert set(diagnostics) == OF_POSTERIORS | {'num_examples', 'continuity'}
    assert json.loads(json.dumps(diagnostics, allow_nan=False)) == diagnostics
    values = evaluate.per_example(vae, restore.initial_state(vae), ONE)
    assert diagnostics['kl_nats'] == pytest.approx(values['kl_nats'].mean(), rel=1e-5)
    assert sum(diagnostics['kl_nats_by_dimension']) == pytest.approx(diagnostics['kl_nats'])
    parts = diagnostics['mutual_information_nats'] + diagnostics['marginal_kl_nats']
    assert parts == pytest.approx(diagnostics['kl_nats'])
    assert diagnostics['mutual_information_limit_nats'] == pytest.approx(np.log(447))
    assert diagnostics['latent_dim'] == 2


def test_the_device_count_makes_no_difference(vae):
    one, many = (diagnosed(vae, jax.devices()[:n]) for n in (1, 8))
    for name in ('kl_nats', 'mutual_information_nats', 'marginal_kl_nats'):
        assert many[name] == pytest.approx(one[name], rel=1e-3, abs=1e-5)
    assert many['continuity']['mean'] == pytest.approx(one['continuity']['mean'], rel=1e-3)


def test_diagnostics_of_missing_abilities_are_left_out(vae, gan):
    """Without a prior there are no active units; without codes there are no diagnostics at all."""
    decode = lambda weights, codes: codes.reshape(-1, 8, 8, 1)
    prior = lambda weights, rng: None
    only = lambda **functions: set(diagnosed(with_abilities(vae, Codes(**functions))))
    assert only(encode=pixels, decode=decode) == {'num_examples', 'continuity'}
    assert only(encode=pixels, prior=prior) == {'num_examples', 'active_units', 'latent_dim'}
    assert only(encode=pixels) == only(decode=decode, prior=prior) == set()
    assert diagnosed(gan) == {}
    assert set(diagnosed(with_posterior(vae, 0.0))) == OF_POSTERIORS | {'num_examples'}


def test_units_are_counted_over_test_examples(vae):
    """The first column of the digits is always black, so its unit is inactive."""
    x = vae.data.splits['test']['x'].reshape(447, 64)[:, :8] * 0.1
    diagnostics = diagnosed(with_posterior(vae, 0.0))
    assert diagnostics['active_units'] == np.sum(x.var(0) > 0.01) < diagnostics['latent_dim'] == 8
    assert diagnostics['kl_nats_by_dimension'] == pytest.approx(0.5 * np.mean(x**2, 0), rel=1e-5)


@pytest.mark.slow
def test_data_with_factors_have_a_mutual_information_gap(tmp_path, caplog):
    run = assembled(tmp_path, 'vae', 'shapes,debug')
    factors = lambda weights, batch, rng: batch['factors'].astype(jnp.float32)
    knowing = replaced(run.family, Codes(factors, prior=run.family.ability(Codes).prior))
    gap = diagnosed(run._replace(family=knowing))['mutual_information_gap']
    assert list(gap['by_factor']) == ['kind', 'x', 'y', 'size', 'rotation']
    assert gap['mean'] == pytest.approx(1, abs=0.02)  # not exactly 1: only part of the grid is used
    mixed = diagnosed(run)
    assert mixed['mutual_information_gap']['mean'] < 0.1
    assert 'rotation' in messages_of(mixed, caplog)


def test_codes_that_are_not_finite_are_reported_and_not_measured(vae, caplog):
    broken = lambda weights, batch, rng: pixels(weights, batch, rng) / 0.0
    decode = lambda weights, codes: codes.reshape(-1, 8, 8, 1)
    assert diagnosed(with_abilities(vae, Codes(encode=broken, decode=decode))) == {}
    assert 'not finite' in caplog.text


def test_unused_codes_are_reported(vae, caplog):
    assert 'active_units' in messages_of(diagnosed(with_posterior(vae, -1.0)), caplog)
    same = lambda weights, batch, rng: 2 * (jnp.zeros((len(batch['x']), 3)),)
    unused = messages_of(diagnosed(with_abilities(vae, Codes(posterior=same))), caplog)
    assert '0 of 3' in unused


def test_a_single_example_has_diagnostics(vae):
    """A single example has no variance and no standard error."""
    few = {name: array[:1] for name, array in vae.data.splits['test'].items()}
    data = vae.data._replace(splits={**vae.data.splits, 'test': few})
    diagnostics = diagnosed(vae._replace(data=data))
    assert diagnostics['mutual_information_nats'] == pytest.approx(0, abs=1e-12)
    assert diagnostics['mutual_information_standard_error'] is None
    assert diagnostics['active_units'] == 0
    json.dumps(diagnostics, allow_nan=False)


@pytest.fixture
def judged(tmp_path, monkeypatch, untrained):
    """An autoencoder whose decoded codes are scored by a classifier; both are untrained."""
    judge = assembled(tmp_path / 'judge', 'classifier')
    monkeypatch.setattr(features, 'classifier_for', lambda run: judge)
    run = assembled(tmp_path, 'vae', eval__classifier='judge')
    codes = run.family.ability(Codes)._replace(prior=None)
    return run._replace(family=replaced(without(run.family, Sample, LogProb), codes))


@pytest.mark.slow
def test_the_evaluation_contains_diagnostics_and_is_reused(judged, caplog, monkeypatch):
    """A classifier scores random codes of a model without `Sample`; a new one scores them again."""
    result = evaluate.evaluate(judged, ONE)
    assert files.read_json(judged.folder / 'evaluation.json') == result
    assert result['features'] == result['latents']['completeness']['classifier']
    assert 'Gaussian fitted' in result['latents']['completeness']['codes']
    assert result['samples'] == {}
    with caplog.at_level('INFO', logger='atelier'):
        printed.show(result, judged)
    assert 'completeness' in caplog.text
    assert 'continuity' in caplog.text
    assert evaluate.evaluate(judged, ONE, reuse=True) == result
    other = sample_quality.chosen_features(judged, ONE)._replace(name='another')
    monkeypatch.setattr(evaluate, 'chosen_features', lambda run, devices: other)
    repeated = evaluate.evaluate(judged, ONE, reuse=True)
    assert repeated['latents']['completeness']['classifier'] == 'another'


def test_a_family_without_a_decoder_needs_no_classifier(judged):
    """Without `decode`, another classifier is no reason to evaluate again."""
    codes = judged.family.ability(Codes)._replace(decode=None)
    silent = judged._replace(family=replaced(judged.family, codes))
    assert sample_quality.chosen_features(silent, ONE) is None


def test_a_test_split_of_unknown_classes_alone_has_diagnostics(tmp_path):
    """The step of a code is compared with distances between these examples."""
    metrics = diagnosed(with_unknown_class(assembled(tmp_path / 'run', 'vae')))
    assert 0 < metrics['continuity']['mean'] < 10
    assert 'completeness' not in metrics
