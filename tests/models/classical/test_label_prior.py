"""A model that has p(label) draws labels from it, and only those that training has."""

import jax
import numpy as np
import pytest
from support import assembled

from atelier.core.abilities import Classify, LabelPrior
from atelier.core.family import is_class_conditional
from atelier.evaluation.examples.anomaly_score import scorer

pytestmark = pytest.mark.slow  # trains twice

SHARES = np.array([0.9, 0.05, 0.05])


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Returns {first label: trained naive Bayes}, on the same pictures with other labels."""
    import train_lib
    from atelier.run import restore

    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp('labels')
    label = rng.choice(3, 600, p=SHARES)
    p = np.full((3, 16), 0.1)
    p[0, :5] = p[1, 5:10] = p[2, 10:] = 0.9
    x = (rng.random((600, 16)) < p[label]).astype(np.uint8)
    runs = {}
    for first in (0, 1):
        np.savez(folder / f'{first}.npz', x=x, label=label + first)
        changes = dict(data__path=str(folder / f'{first}.npz'))
        run = assembled(folder / f'run-{first}', 'naive_bayes', 'arrays', **changes)
        train_lib.train(run)
        runs[first] = restore.load(run)
    return runs


def test_results_do_not_depend_on_the_first_label(trained):
    values = []
    for first, run in trained.items():
        assert run.data.spec.known_classes == (first, first + 1, first + 2)
        score = scorer(run.run, run.data, 'nll', run.devices)
        values.append(score(run.state, run.data.splits['test']['x']))
    np.testing.assert_allclose(*values, rtol=1e-5)


@pytest.mark.parametrize('first', [0, 1])
def test_the_prior_is_that_of_training(trained, first):
    run = trained[first]
    weights = run.state.averaged_weights
    prior = np.exp(run.family.ability(LabelPrior).log_probs(weights))
    counts = np.bincount(run.data.splits['train']['label'], minlength=3 + first)
    expected = np.where(counts > 0, counts + 1, 0) / np.sum(counts + 1 * (counts > 0))
    np.testing.assert_allclose(prior, expected, rtol=1e-5)


@pytest.mark.parametrize('first', [0, 1])
def test_samples_without_labels_follow_the_prior(trained, first):
    """Pictures show their class; without labels, nine tenths are of the first one."""
    from atelier.evaluation.samples.sampling import sampler

    run = trained[first]
    x = np.asarray(sampler(run.run, run.devices)(run.state, jax.random.PRNGKey(0), 600))
    ink = np.stack([x[:, :5].mean(1), x[:, 5:10].mean(1), x[:, 10:].mean(1)], 1)
    shares = np.bincount(ink.argmax(1), minlength=3) / 600
    np.testing.assert_allclose(shares, SHARES, atol=0.05)


def test_a_class_without_examples_is_never_predicted(trained):
    run = trained[1]
    batch = {'x': np.random.default_rng(1).integers(0, 2, (50, 16))}
    batch = {'x': jax.numpy.asarray(batch['x'], np.float32)}
    logits = run.family.ability(Classify).logits(run.state.averaged_weights, batch, None)
    assert np.isneginf(logits[:, 0]).all() and np.isfinite(logits[:, 1:]).all()
    assert is_class_conditional(run.family)
