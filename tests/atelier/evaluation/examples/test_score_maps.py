"""Scores by pixel: their sums, and which pixel a term belongs to."""

import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, few_of_test, with_abilities

from atelier.core.abilities import Codes, Conditionals, LabelPrior, LogProb, Reconstruct, Sample
from atelier.core.family import codes_of
from atelier.evaluation.examples.anomaly_score import scorer
from atelier.evaluation.examples.score_maps import score_maps
from atelier.run import restore

pytestmark = pytest.mark.usefixtures('untrained')

INDEX = np.array([11, 3, 7])


def sums_and_scores(run, score):
    """Returns the maps of the test examples at INDEX, their sums, and the scores of `scorer`."""
    trained = restore.load(run)
    maps = score_maps(trained, run.data, score, INDEX)
    scores = scorer(run, run.data, score, trained.devices)
    every = scores(trained.state, run.data.splits['test']['x'])
    return maps, maps.terms.reshape(3, -1).sum(1), every[INDEX]


@pytest.mark.parametrize(
    'name',
    [
        'chow_liu',
        pytest.param('naive_bayes', marks=pytest.mark.slow),
        pytest.param('made', marks=pytest.mark.slow),
        'fvsbn',
    ],
)
def test_the_terms_of_the_chain_rule_sum_to_the_nll(name, tmp_path):
    """Naive Bayes is class-conditional, so its nll is that of the mean of p(x | y) under p(y)."""
    run = few_of_test(assembled(tmp_path, name), 12)
    maps, sums, scores = sums_and_scores(run, 'nll')
    np.testing.assert_allclose(sums, scores, rtol=1e-4)
    assert maps.unit == 'nats' and maps.description == '-log p(x)'
    assert maps.terms.shape == maps.x.shape == (3, *run.data.spec.event_shape)


@pytest.mark.slow
def test_random_binarisation_is_that_of_the_score(tmp_path):
    """The map of an example is of the very x that its score is of."""
    changes = dict(data__binarize='stochastic', model__observation='bernoulli')
    run = few_of_test(assembled(tmp_path, 'made', **changes), 12)
    _, sums, scores = sums_and_scores(run, 'nll')
    np.testing.assert_allclose(sums, scores, rtol=1e-4)


@pytest.mark.parametrize('num_classes', [1, 3])
def test_a_term_lies_at_the_pixel_of_its_value(vae, num_classes):
    """The order is reversed, and value v at step i has -log p = v (i + 1), up to the class.

    With classes of equal likelihood, the mean over classes changes nothing.
    """
    conditionals = Conditionals(
        order=lambda weights: jnp.arange(64, dtype=jnp.int32)[::-1],
        begin=lambda weights, given: jnp.zeros(len(given['x'])),
        step=lambda weights, memory, i, previous: (
            memory + previous,
            -jnp.tile(jnp.arange(17.0), (len(memory), 1)) * (i + 1),
        ),
    )
    nats = LogProb(lambda weights, batch, rng: jnp.zeros(len(batch['x'])), 'exact')
    sample = Sample(lambda weights, rng, condition: None, is_class_conditional=num_classes > 1)
    run = with_abilities(vae, conditionals, nats, sample)
    spec = run.data.spec._replace(num_classes=num_classes)
    run = run._replace(data=run.data._replace(spec=spec))
    maps = score_maps(restore.load(run), run.data, 'nll', INDEX)
    x = run.data.splits['test']['x'][INDEX].reshape(3, 64).astype(np.float64)
    expected = x * np.arange(64, 0, -1)
    np.testing.assert_allclose(maps.terms.reshape(3, 64), expected, rtol=2e-3, atol=2e-2)


@pytest.mark.parametrize('prior', [(0.7, 0.2, 0.1), None])
def test_classes_have_the_weights_of_the_score(vae, prior):
    """Value v has -log p = v (label + 1) / 100, up to a constant that both leave out."""

    def step(weights, label, i, previous):
        return label, -jnp.arange(17.0) * (label[:, None] + 1) / 100

    conditionals = Conditionals(
        order=lambda weights: jnp.arange(64, dtype=jnp.int32),
        begin=lambda weights, given: given['label'].astype(jnp.float32),
        step=step,
    )

    def nats(weights, batch, rng):
        return -batch['x'].reshape(-1, 64).sum(1) * (batch['label'] + 1) / 100

    abilities = [
        conditionals,
        LogProb(nats, 'exact'),
        Sample(lambda weights, rng, condition: None, is_class_conditional=True),
    ]
    if prior:
        abilities.append(LabelPrior(lambda weights: jnp.log(jnp.array(prior))))
    run = with_abilities(vae, *abilities)
    spec = run.data.spec._replace(num_classes=3)
    _, sums, scores = sums_and_scores(run._replace(data=run.data._replace(spec=spec)), 'nll')
    ink = run.data.splits['test']['x'][INDEX].reshape(3, 64).sum(1).astype(float)
    likelihoods = np.exp(-ink[:, None] * np.arange(1, 4) / 100)
    expected = -np.log(likelihoods @ np.array(prior or (1 / 3,) * 3))
    np.testing.assert_allclose(scores, expected, rtol=1e-4)
    np.testing.assert_allclose(sums, expected, rtol=1e-4)


def test_the_terms_of_a_binary_vae_are_cross_entropies(tmp_path):
    """Of x and its mean given the mean code, which is the probability of 1."""
    changes = dict(data__binarize='threshold', model__observation='bernoulli')
    run = few_of_test(assembled(tmp_path, 'vae', **changes), 12)
    maps = score_maps(restore.load(run), run.data, 'nll', INDEX)
    weights, codes = restore.initial_state(run).averaged_weights, codes_of(run.family)
    mean, _ = codes.posterior(weights, {'x': jnp.asarray(maps.x)}, None)
    p = np.asarray(codes.decode(weights, mean), np.float64)
    expected = -np.where(maps.x == 1, np.log(p), np.log1p(-p))
    assert {*np.unique(maps.x)} == {0, 1}
    np.testing.assert_allclose(maps.terms, expected, rtol=1e-4)
    assert 'p(x | z)' in maps.description


def test_the_terms_of_a_reconstruction_sum_to_its_error(vae):
    maps, sums, scores = sums_and_scores(vae, 'reconstruction')
    np.testing.assert_allclose(sums, scores, rtol=1e-5)
    half = with_abilities(vae, Reconstruct(lambda weights, batch, rng: batch['x'] / 2))
    maps, sums, scores = sums_and_scores(half, 'reconstruction')
    x = half.data.splits['test']['x'][INDEX] / 16
    np.testing.assert_allclose(maps.terms, 0.5 * (x / 2) ** 2, rtol=1e-5)
    assert maps.unit == '1/2 squared error'


def test_the_best_class_explains_a_reconstruction(vae):
    """Class y reconstructs y / 3 everywhere, in units of x normalized."""
    level = lambda batch: batch['label'][:, None, None, None] / 3 * 16
    run = with_abilities(
        vae,
        Reconstruct(lambda weights, batch, rng: jnp.broadcast_to(level(batch), batch['x'].shape)),
        Sample(lambda weights, rng, condition: None, is_class_conditional=True),
        Codes(),
    )
    spec = run.data.spec._replace(num_classes=4)
    run = run._replace(data=run.data._replace(spec=spec))
    maps, sums, scores = sums_and_scores(run, 'reconstruction')
    np.testing.assert_allclose(sums, scores, rtol=1e-5)
    x = run.data.splits['test']['x'][INDEX] / 16
    errors = [0.5 * ((x - each / 3) ** 2).reshape(3, -1).sum(1) for each in range(4)]
    np.testing.assert_allclose(sums, np.min(errors, 0), rtol=1e-5)
    assert 'of the best class' in maps.description


def test_a_score_without_terms_has_no_map(vae):
    nats = LogProb(lambda weights, batch, rng: jnp.zeros(len(batch['x'])), 'lower bound')
    run = with_abilities(vae, nats)
    assert score_maps(restore.load(run), run.data, 'nll', INDEX) is None
