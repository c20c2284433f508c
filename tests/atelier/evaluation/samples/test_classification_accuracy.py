"""A classifier trained on samples: perfect samples come near real data, noise near chance."""

import jax
import numpy as np
import pytest
from support import assembled, replaced, trained_classifier

from atelier.core.abilities import Sample
from atelier.evaluation.samples.classification_accuracy import (
    accuracy,
    accuracy_score,
    sampled_data,
    without_classes,
)
from atelier.run import restore, run_folder

ONE = jax.devices()[:1]


@pytest.fixture(scope='module')
def classifier(tmp_path_factory):
    return trained_classifier(
        tmp_path_factory.mktemp('classifier') / 'run',
        train__steps=300,
        train__steps_per_dispatch=50,
        train__evaluate_every=100,
        train__checkpoint_every=100,
        hypers__learning_rate=3e-3,
    )


def conditional(run, sample):
    """Returns `run` with another class-conditional `sample`, and a State."""
    family = replaced(run.family, Sample(sample, True))
    return run._replace(family=family), restore.initial_state(run)


def of_training_data(run):
    """Returns a class-conditional sampler that draws training examples of the given class."""
    split = run.data.splits['train']
    of_class = [np.flatnonzero(split['label'] == c) for c in range(10)]
    table = jax.numpy.asarray(np.stack([np.resize(index, 100) for index in of_class]))
    x = jax.numpy.asarray(split['x'], jax.numpy.float32)

    def sample(weights, rng, condition):
        position = jax.vmap(lambda key: jax.random.randint(key, (), 0, 100))(rng.keys)
        return x[table[condition['label'], position]]

    return sample


@pytest.mark.slow
def test_a_classifier_learns_from_good_samples_and_not_from_noise(tmp_path, classifier):
    run = assembled(tmp_path, 'cgan')
    good, state = conditional(run, of_training_data(run))
    noise, _ = conditional(
        run,
        lambda weights, rng, condition: jax.vmap(
            lambda key: 16 * jax.random.uniform(key, (8, 8, 1))
        )(rng.keys),
    )
    reopened = run_folder.reopen(classifier.folder, reads=None)  # as an evaluation opens it
    of_good, of_noise = (accuracy_score(r, state, ONE, reopened) for r in (good, noise))
    assert of_good['floor'] == of_noise['floor'] > 0.6
    assert of_good['samples'] > of_good['floor'] - 0.15
    assert of_noise['samples'] < 0.35
    assert [p.name for p in classifier.folder.parent.iterdir()] == ['run']  # nothing else is left


def test_the_floor_is_the_accuracy_of_its_evaluation(classifier):
    from atelier.evaluation import evaluate

    state = restore.load(classifier).state
    values = evaluate.per_example(classifier, state, ONE)
    assert accuracy(classifier, state, ONE) == pytest.approx(values['accuracy'].mean(), abs=1e-6)


def test_samples_replace_the_training_and_validation_splits(tmp_path, classifier):
    """Class counts stay the same; the test split is unchanged."""
    run, state = conditional(*_make(tmp_path))
    data = sampled_data(run, state, ONE, classifier.data)
    for name in ('train', 'valid'):
        real = classifier.data.splits[name]
        np.testing.assert_array_equal(data.splits[name]['label'], real['label'])
        np.testing.assert_allclose(data.splits[name]['x'].mean((1, 2, 3)), real['label'], rtol=1e-5)
    assert data.splits['test'] is classifier.data.splits['test']


def _make(tmp_path):
    run = assembled(tmp_path, 'cgan')
    constant = lambda weights, rng, condition: jax.numpy.broadcast_to(
        condition['label'][:, None, None, None].astype(float), (len(rng.keys), 8, 8, 1)
    )
    return run, constant


def test_classes_left_out_of_training_are_left_out_of_all_splits(classifier):
    data = without_classes(classifier.data, (2, 9))
    for name, split in classifier.data.splits.items():
        stays = ~np.isin(split['label'], (2, 9))
        np.testing.assert_array_equal(data.splits[name]['x'], split['x'][stays])
        assert set(data.splits[name]['label']) == set(range(10)) - {2, 9}
    assert without_classes(classifier.data, ()) is classifier.data
