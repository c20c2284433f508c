"""Classes without training examples: never predicted, and their examples set aside with a count."""

import numpy as np
import pytest
from support import assembled

import atelier
import train_lib
from atelier.applications import classify, perform, score
from atelier.core.family import is_class_conditional
from atelier.data.dataset import without_classes
from atelier.evaluation.evaluate import evaluate
from atelier.evaluation.examples.known_classes import are_of, is_known, of_known_classes
from atelier.evaluation.samples.sampling import order_of_known
from atelier.run import restore

SMALL = dict(model__channels=(), model__hidden_sizes=(8,), model__shift=0)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Pictures of classes 1 to 3 for training, and of 0 to 3 for the test."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp('classes')
    arrays = {}
    for split, first, n in (('train', 1, 300), ('valid', 0, 40), ('test', 0, 80)):
        label = np.arange(n) % (4 - first) + first
        p = np.full((4, 16), 0.1)
        p[1, :5] = p[2, 5:10] = p[3, 10:] = 0.9
        x = (rng.random((n, 16)) < p[label]).astype(np.uint8).reshape(-1, 4, 4, 1)
        arrays |= {f'x_{split}': x, f'label_{split}': label}
    np.savez(folder / 'from1.npz', **arrays)
    np.savez(folder / 'unknown.npz', x=x[label == 0], label=label[label == 0])
    np.savez(folder / 'unlabelled.npz', x=x)
    return folder


@pytest.fixture(
    scope='module', params=[pytest.param('classifier', marks=pytest.mark.slow), 'naive_bayes']
)
def trained(request, folder):
    changes = dict(SMALL if request.param == 'classifier' else {})
    changes |= dict(data__path=str(folder / 'from1.npz'))
    run = assembled(folder / request.param, request.param, 'arrays,debug', **changes)
    train_lib.train(run)
    return restore.load(run)


def test_an_unknown_class_has_probability_zero(trained):
    probs = atelier.classify(trained, trained.run.data.splits['test']['x'])
    assert (probs[:, 0] == 0).all()
    np.testing.assert_allclose(probs.sum(1), 1, rtol=1e-5)


def test_evaluation_is_over_examples_of_known_classes(trained, caplog):
    caplog.set_level('INFO')
    values = evaluate(trained.run)['values']
    assert '20 examples set aside' in caplog.text
    assert np.isfinite(values['cross_entropy_nats']['mean'])
    label = trained.run.data.splits['test']['label']
    probs = atelier.classify(trained, trained.run.data.splits['test']['x'])[label > 0]
    expected = -np.log(probs[np.arange(60), label[label > 0]]).mean()
    assert values['cross_entropy_nats']['mean'] == pytest.approx(expected, rel=1e-4)


def test_all_examples_are_classified_and_those_of_known_classes_compared(trained, caplog):
    caplog.set_level('INFO')
    arrays = perform(classify.APPLICATION, trained.run)
    assert len(arrays['predicted']) == 80 and (arrays['predicted'] > 0).all()
    assert '20 test examples' in caplog.text


def test_given_examples_of_unknown_classes_are_refused(trained, folder, complaint):
    for application in (score, classify):
        line = complaint(
            perform, application.APPLICATION, trained.run, data=str(folder / 'unknown.npz')
        )
        assert 'without training examples' in line or 'with training examples' in line


def test_examples_without_labels_are_scored(trained, folder):
    arrays = perform(score.APPLICATION, trained.run, data=str(folder / 'unlabelled.npz'))
    assert len(arrays['confidence']) == 80


def test_examples_keep_the_rows_that_they_came_from(trained):
    label = trained.run.data.splits['test']['label']
    arrays = perform(score.APPLICATION, trained.run)
    expected = trained.run.data.origin_of('test')['row'][label > 0]
    np.testing.assert_array_equal(arrays['row'], expected)


@pytest.mark.parametrize('config', ['classifier', 'vae'])
def test_runs_that_know_all_classes_and_models_without_labels_keep_all(folder, tmp_path, config):
    changes = SMALL if config == 'classifier' else {}
    rule = 'declared' if config == 'classifier' else 'trained'
    changes = dict(changes, data__path=str(folder / 'from1.npz'), data__classes=rule)
    run = assembled(tmp_path, config, 'arrays,debug', **changes)
    assert is_known(run, 'test') is None and of_known_classes(run) is run


def test_arrays_of_unknown_classes_are_refused_if_the_model_reads_labels(trained, complaint):
    split = trained.run.data.splits['test']
    if is_class_conditional(trained.run.family):
        line = complaint(atelier.score, trained, split['x'], split['label'])
        assert 'label: 20 examples of classes without training examples' in line
    else:
        assert len(atelier.score(trained, split['x'], split['label'])['confidence']) == 80


@pytest.mark.parametrize('rule', ['trained', 'declared', None])
def test_samples_are_compared_with_what_training_saw_and_all_that_exists_is_scored(
    tmp_path, folder, rule
):
    """In a run from before `config.data.classes`, a class without training examples exists."""
    changes = dict(SMALL, data__path=str(folder / 'from1.npz'), data__classes=rule or 'declared')
    if rule == 'declared':
        changes |= dict(data__without_classes=(0,))
    run = assembled(tmp_path / 'run', 'classifier', 'arrays,debug', **changes)
    if rule is None:  # before there was a choice
        run = run._replace(data=without_classes(run.data, (0,)))
        with run.config.unlocked():
            del run.config.data.classes
    label = run.data.splits['test']['label']
    kept = is_known(run, 'test')
    if rule == 'trained':
        np.testing.assert_array_equal(kept, label > 0)
    else:
        assert kept is None
    order = order_of_known(run, 'test')
    assert sorted(order.tolist()) == np.flatnonzero(label > 0).tolist()


def test_examples_without_labels_are_of_any_class(trained):
    run = trained.run
    unlabelled = {'test': {'x': run.data.splits['test']['x']}}
    run = run._replace(data=run.data._replace(splits=unlabelled))
    assert are_of(run, 'test', (1,)).all() and len(are_of(run, 'test', (1,))) == 80
