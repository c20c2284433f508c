"""Features that compare samples: a classifier's, raw values if few, or any function."""

import jax
import numpy as np
import pytest
from support import assembled

from atelier.evaluation import evaluate
from atelier.evaluation.codes.encoding import encoded
from atelier.evaluation.samples import features
from atelier.evaluation.samples.sample_quality import chosen_features, sample_quality
from atelier.run import restore, run_folder

ONE = jax.devices()[:1]


def quality_of(run, state, devices, features=None):
    """Calls `sample_quality` as an evaluation does."""
    return sample_quality(run, state, devices, features or chosen_features(run, devices))


@pytest.mark.slow
def test_points_have_their_normalized_coordinates_as_features(tmp_path):
    run = assembled(tmp_path, 'gan', 'moons,debug')
    function = features.feature_function(run, ONE)
    x = run.data.splits['test']['x'][:50]
    outputs = function.apply(x)
    assert function.name == 'normalized coordinates'
    assert outputs.probs is None
    mean, std = np.asarray(run.data.spec.mean), np.asarray(run.data.spec.std)
    np.testing.assert_allclose(outputs.features, (x - mean) / std, rtol=1e-5, atol=1e-6)
    few = {name: {'x': split['x'][:300]} for name, split in run.data.splits.items()}
    run = run._replace(data=run.data._replace(splits=few))
    quality = quality_of(run, restore.initial_state(run), ONE)
    assert quality['features'] == function.name
    assert 'frechet_distance' in quality['values']
    assert 'entropy_score' not in quality['values']  # there are no classes


def test_images_have_no_features_without_a_classifier(tmp_path):
    run = assembled(tmp_path, 'gan')
    assert features.feature_function(run, ONE) is None
    assert not features.has_features(run)


def test_any_function_may_give_features(tmp_path):
    """Its name includes its values on the data, to distinguish functions of the same name."""
    run = assembled(tmp_path, 'gan')
    x = run.data.splits['test']['x']

    def pixels(x):
        return x.reshape(len(x), -1)

    function = features.from_function(pixels, x)
    assert function.name.startswith('pixels, ')
    np.testing.assert_array_equal(function.apply(x).features, pixels(x))
    other = features.from_function(lambda x: 2 * pixels(x), x)
    assert other.name.split()[1] != function.name.split()[1]
    quality = quality_of(run, restore.initial_state(run), ONE, function)
    assert quality['features'] == function.name
    assert quality['values']['coverage']['floor'] > 0.8


def test_too_few_examples_are_a_warning_after_training(tmp_path, caplog):
    run = assembled(tmp_path, 'gan', 'moons,debug')
    few = {name: array[:11] for name, array in run.data.splits['test'].items()}
    run = run._replace(data=run.data._replace(splits={**run.data.splits, 'test': few}))
    with caplog.at_level('WARNING', logger='atelier'):
        assert quality_of(run, restore.initial_state(run), ONE) == {}
    assert '5 test examples and 100,000 training examples are too few' in caplog.text


@pytest.mark.parametrize('f', [lambda x: x, lambda x: np.full((len(x), 2), np.nan), lambda x: x[0]])
def test_features_of_wrong_shape_or_not_finite_are_refused(tmp_path, complaint, f):
    x = np.zeros((5, 8, 8, 1))
    assert 'finite and of shape [n, features]' in complaint(features.from_function, f, x)


def test_a_game_cannot_be_evaluated_without_features(tmp_path, complaint, caplog):
    """After training this is a warning; with --mode=evaluate it is an error."""
    run = assembled(tmp_path, 'gan')
    trained = restore.TrainedRun(run, restore.initial_state(run), 'untrained')
    message = complaint(evaluate.evaluate, run, ONE, trained=trained)
    assert '--config.eval.classifier=RUN' in message
    assert not (run.folder / 'evaluation.json').exists()
    with caplog.at_level('WARNING', logger='atelier'):
        result = evaluate.evaluate(run, ONE, reuse=True, trained=trained)
    assert result['samples'] == {}
    assert '--config.eval.classifier=RUN' in caplog.text
    before = (run.folder / 'evaluation.json').read_bytes()
    of_pixels = evaluate.evaluate(
        run, ONE, trained=trained, features=lambda x: x.reshape(len(x), -1)
    )
    assert of_pixels['samples']['values']['frechet_distance']['samples'] > 0
    assert (run.folder / 'evaluation.json').read_bytes() == before  # it is not overwritten


def test_a_classifier_that_was_trained_on_test_examples_is_reported(tmp_path, untrained, caplog):
    """Its features of them are not those of new examples, so distances to samples are off."""
    random = np.random.RandomState(0)
    x, label = random.randint(0, 17, (250, 8, 8, 1)), np.arange(250) % 3
    for name, n in (('before', 200), ('after', 250)):
        np.savez(tmp_path / f'{name}.npz', x=x[:n], label=label[:n], levels=17)

    def own(name, config, rule):
        data = dict(data__path=str(tmp_path / f'{name}.npz'), data__split_by=rule)
        return assembled(tmp_path / f'{name}-{rule}', config, 'arrays,debug', **data)

    for rule, is_reported in (('content', False), ('order', True)):
        classifier = own('before', 'classifier', rule)
        classifier.folder.mkdir()
        run_folder.write_config(classifier, 1)
        run = own('after', 'gan', rule)
        run.config.eval.classifier = str(classifier.folder)
        features.feature_function(run, ONE)
        line = f'{classifier.folder} was trained on other data'
        assert (line in caplog.text) == is_reported
    assert f'of the {run.data.size("test")} test examples of this run' in caplog.text


@pytest.mark.slow
def test_a_classifier_gets_examples_in_its_own_units(tmp_path, untrained):
    """Both runs standardize by other moments; the classifier's features are of the raw values."""
    random = np.random.RandomState(0)
    label = np.arange(200) % 2
    x = (0.1 + 0.8 * label[:, None, None] + 0.05 * random.rand(200, 8, 8)).astype(np.float32)
    np.savez(tmp_path / 'both.npz', x=x, label=label)
    np.savez(tmp_path / 'bright.npz', x=x[label == 1], label=label[label == 1])
    own = lambda name, config: assembled(
        tmp_path / f'{name}-run', config, 'arrays,debug', data__path=str(tmp_path / f'{name}.npz')
    )
    classifier, run = own('both', 'classifier'), own('bright', 'gan')
    assert classifier.data.spec.mean < 0.7 < run.data.spec.mean
    classifier.folder.mkdir()
    run_folder.write_config(classifier, 1)
    run.config.eval.classifier = str(classifier.folder)
    outputs = features.feature_function(run, ONE).apply(x[:9])
    raw = {'x': x[:9]}
    codes, _ = encoded(classifier, restore.initial_state(classifier), raw, ONE)
    np.testing.assert_allclose(outputs.features, codes, rtol=1e-5, atol=1e-6)


def test_a_classifier_of_classes_in_another_order_is_refused(tmp_path, untrained, complaint):
    """Its class 0 is not class 0 of the run."""
    x, label = np.random.RandomState(0).randint(0, 17, (200, 8, 8, 1)), np.arange(200) % 2
    for name, names in (('classifier', ['cat', 'dog']), ('gan', ['dog', 'cat'])):
        np.savez(tmp_path / f'{name}.npz', x=x, label=label, levels=17, class_names=names)
    classifier, run = (
        assembled(tmp_path / name, name, 'arrays,debug', data__path=str(tmp_path / f'{name}.npz'))
        for name in ('classifier', 'gan')
    )
    classifier.folder.mkdir()
    run_folder.write_config(classifier, 1)
    run.config.eval.classifier = str(classifier.folder)
    line = complaint(features.feature_function, run, ONE)
    assert 'has the classes cat, dog, in order, but arrays has dog, cat' in line
