"""Sample quality: metrics on a classifier's features, and over known modes."""

import jax
import numpy as np
import pytest
from support import assembled, replaced, trained_classifier, with_unknown_class

from atelier import files
from atelier.core.abilities import Sample
from atelier.evaluation import evaluate, printed
from atelier.evaluation.samples import sample_quality as sample_quality_module
from atelier.evaluation.samples.features import FeatureFunction, FeatureOutput
from atelier.evaluation.samples.report import memorisation_warning
from atelier.evaluation.samples.sample_quality import (
    chosen_features,
    compare_with_data,
    entropy_score,
    sample_quality,
)
from atelier.evaluation.samples.sampling import labels_like, split_examples
from atelier.run import restore


def quality_of(run, state, devices, features=None, image_path=None):
    """Calls `sample_quality` as an evaluation does."""
    features = features or chosen_features(run, devices)
    return sample_quality(run, state, devices, features, image_path)


@pytest.fixture(scope='module')
def classifier(tmp_path_factory):
    """The folder of a briefly trained digit classifier."""
    folder = tmp_path_factory.mktemp('classifier') / 'run'
    return trained_classifier(folder, train__steps=60).folder


def untrained(run, sample):
    """Returns `run` with another sampler, and an untrained State."""
    family = replaced(run.family, run.family.ability(Sample)._replace(draw=sample))
    return run._replace(family=family), restore.initial_state(run)


def of_training_data(run):
    """Returns a sampler of the training split: as good as a model can be."""
    x = np.asarray(run.data.splits['train']['x'], np.float32)
    return lambda weights, rng, condition: jax.numpy.asarray(x)[rng.rows % len(x)]


@pytest.mark.slow
def test_sample_quality_of_real_data_is_near_the_floor_and_of_noise_far_above(tmp_path, classifier):
    run = assembled(tmp_path, 'gan', eval__classifier=str(classifier))
    devices = jax.devices()[:2]
    honest, state = untrained(run, of_training_data(run))
    noise, _ = untrained(
        run,
        lambda weights, rng, condition: jax.vmap(
            lambda key: 16 * jax.random.uniform(key, (8, 8, 1))
        )(rng.keys),
    )
    good, bad = (quality_of(r, state, devices) for r in (honest, noise))
    assert good['num_samples'] == good['num_real'] == 447 // 2
    assert good['features'].startswith('run, ')
    value = lambda quality, name, column='samples': quality['values'][name][column]
    for name in ('precision', 'recall', 'coverage'):
        assert value(good, name) > value(good, name, 'floor') - 0.3
        assert value(good, name) > value(bad, name)
        assert value(good, name, 'floor') == value(bad, name, 'floor')
    assert value(bad, 'frechet_distance') > 5 * value(good, 'frechet_distance')
    assert value(bad, 'kernel_distance') > 5 * abs(value(good, 'kernel_distance'))
    assert value(good, 'frechet_distance') < 3 * value(good, 'frechet_distance', 'floor')
    assert value(good, 'memorisation_rate') == 1  # all samples are copies
    assert value(bad, 'memorisation_rate') == 0
    assert value(good, 'memorisation_rate', 'floor') < 0.05


def test_one_gaussian_stands_beside_the_samples(tmp_path, monkeypatch):
    """Its samples are compared with the same real half; here they are as good as that half."""
    run, devices = assembled(tmp_path, 'gan'), jax.devices()[:1]
    honest, state = untrained(run, of_training_data(run))
    flat = lambda x: FeatureOutput(np.asarray(x, np.float32).reshape(len(x), -1)[:, 18:22], None)
    real = split_examples(run, state, devices, 'test', 446)[:223]
    monkeypatch.setattr(sample_quality_module, 'one_gaussian_samples', lambda *_: real)
    values = compare_with_data(honest, state, devices, FeatureFunction('flat', flat))['values']
    found = {name: value.get('one_gaussian') for name, value in values.items()}
    assert abs(found['frechet_distance']) < 1e-3 < values['frechet_distance']['samples']
    assert found['coverage'] == 1 and found['memorisation_rate'] is None


@pytest.mark.slow
def test_class_agreement_is_one_for_the_given_class_and_zero_for_others(tmp_path):
    """The classifier rounds the mean of an image to its class."""
    run, devices = assembled(tmp_path, 'cgan'), jax.devices()[:1]

    def judged(x):
        flat = np.asarray(x, np.float32).reshape(len(x), -1)
        return FeatureOutput(flat, np.eye(17)[flat.mean(1).round().astype(int)])

    def painted(behind):
        def sample(weights, rng, condition):
            of_row = lambda key, label: label + behind + 0.1 * jax.random.normal(key, (8, 8, 1))
            return jax.vmap(of_row)(rng.keys, condition['label'])

        ours, state = untrained(run, sample)
        values = compare_with_data(ours, state, devices, FeatureFunction('mean', judged))['values']
        return values['class_agreement']

    right, wrong = painted(0), painted(1)
    assert right['samples'] == 1.0 and wrong['samples'] == 0.0
    x, label = (
        split_examples(run, untrained(run, None)[1], devices, 'test', 446),
        labels_like(run, 'test', 446),
    )
    is_right = np.argmax(judged(x).probs, 1) == label
    assert right['floor'] == wrong['floor'] == np.mean(is_right[223:])


@pytest.mark.slow
def test_the_picture_shows_samples_above_their_nearest_training_examples(
    tmp_path, classifier, monkeypatch
):
    """If samples are copies, each one's nearest training example is the sample itself."""
    run = assembled(tmp_path, 'gan', eval__classifier=str(classifier))
    honest, state = untrained(run, of_training_data(run))
    drawn = {}
    save = lambda path, rows, spec: drawn.update(path=path, rows=rows)
    monkeypatch.setattr('atelier.evaluation.samples.sample_quality.save_columns', save)
    path = tmp_path / 'nearest-training.png'
    quality = quality_of(honest, state, jax.devices()[:1], image_path=path)
    assert quality['num_train'] == 1000
    assert drawn['path'] == path
    samples, nearest, *others = drawn['rows']
    assert len(samples) == 16
    assert len(others) == 2
    np.testing.assert_array_equal(samples, nearest)
    assert not np.array_equal(samples, others[0])


@pytest.mark.parametrize('repeats', [1, 5])
def test_copies_are_said_but_not_of_data_that_repeat(tmp_path, repeats):
    """Held-out examples never equal training examples here; training examples may be equal."""
    run = assembled(tmp_path, 'gan')
    splits = {name: dict(split) for name, split in run.data.splits.items()}
    splits['train']['x'] = np.repeat(splits['train']['x'][: 1000 // repeats], repeats, 0)
    run = run._replace(data=run.data._replace(splits=splits))
    pixels = lambda x: FeatureOutput(np.asarray(x, np.float32).reshape(len(x), -1), None)
    copier, state = untrained(run, of_training_data(run))
    quality = compare_with_data(copier, state, jax.devices()[:1], FeatureFunction('pixels', pixels))
    sentence = memorisation_warning(quality)
    if repeats == 1:
        assert quality['values']['memorisation_rate']['samples'] == 1
        assert 'the model copies training examples' in sentence
    else:
        assert quality['values']['memorisation_rate'] == {'samples': None, 'floor': None}
        assert 'cannot be told' in sentence


@pytest.mark.slow
def test_the_device_count_makes_no_difference(tmp_path, classifier):
    run = assembled(tmp_path, 'gan', eval__classifier=str(classifier))
    state = restore.initial_state(run)
    one, many = (quality_of(run, state, jax.devices()[:n]) for n in (1, 8))
    for name, value in one['values'].items():
        if value['samples'] is not None:  # a single block has no standard error
            assert many['values'][name]['samples'] == pytest.approx(value['samples'], rel=1e-3), (
                name
            )


def test_points_are_counted_over_their_modes(tmp_path):
    run = assembled(tmp_path, 'gan', 'ring,debug')
    honest, state = untrained(run, of_training_data(run))
    quality = quality_of(honest, state, jax.devices()[:1])
    assert quality['num_samples'] == 2500
    assert quality['values']['modes'] == {'samples': 8, 'floor': 8}
    for column in ('samples', 'floor'):
        assert quality['values']['high_quality'][column] == pytest.approx(0.9889, abs=0.01)


def test_without_samples_or_features_there_is_no_sample_quality(tmp_path):
    for config in ('classifier', 'gan'):
        run = assembled(tmp_path, config)
        assert quality_of(run, restore.initial_state(run), jax.devices()[:1]) == {}


@pytest.mark.slow
def test_the_evaluation_contains_sample_quality(tmp_path, classifier, caplog):
    import train_lib

    run = assembled(tmp_path / 'gan', 'gan', eval__classifier=str(classifier), train__steps=5)
    train_lib.train(run, jax.devices()[:1])
    result = evaluate.evaluate(run, jax.devices()[:1])
    assert files.read_json(run.folder / 'evaluation.json') == result
    assert result['samples']['values']['frechet_distance']['samples'] > 0
    with caplog.at_level('INFO', logger='atelier'):
        printed.show(result, run)
    assert 'frechet_distance' in caplog.text
    assert 'FID' not in caplog.text


@pytest.mark.slow
def test_runs_that_do_not_classify_these_data_are_refused(tmp_path, classifier, complaint):
    import train_lib

    vae = assembled(tmp_path / 'vae', 'vae', train__steps=5)
    train_lib.train(vae, jax.devices()[:1])
    for folder, data, message in (
        (
            vae.folder,
            'digits',
            ' is the run of configs/vae.py:digits,debug, not of a classifier: train one',
        ),
        (tmp_path / 'nothing', 'digits', 'does not exist'),
        (classifier, 'moons', 'classifies (8, 8, 1)'),
    ):
        run = assembled(tmp_path, 'gan', f'{data},debug', eval__classifier=str(folder))
        assert message in complaint(chosen_features, run, jax.devices()[:1])


def test_the_entropy_score_lies_between_one_and_the_number_of_classes():
    sure = np.eye(10)[np.arange(100) % 10]
    assert entropy_score(sure) == pytest.approx(10)
    assert entropy_score(np.repeat(sure[:1], 50, 0)) == pytest.approx(1)
    assert entropy_score(np.full((50, 10), 0.1)) == pytest.approx(1)
    half = np.eye(10)[np.arange(100) % 5]
    assert entropy_score(half) == pytest.approx(5)


def test_samples_are_not_compared_with_unknown_classes_alone(tmp_path, caplog):
    run = with_unknown_class(assembled(tmp_path, 'gan'))
    features = FeatureFunction('flat', lambda x: FeatureOutput(x.reshape(len(x), -1), None))
    assert compare_with_data(run, restore.initial_state(run), jax.devices()[:1], features) == {}
    assert 'no test example has a class of training' in caplog.text
