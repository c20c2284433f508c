"""Features that compare samples: a classifier's, raw values if few, or any function."""

import jax
import numpy as np
import pytest
from support import assembled

from atelier.evaluation import evaluate
from atelier.evaluation.samples import features
from atelier.evaluation.samples.sample_quality import chosen_features, sample_quality
from atelier.run import restore

pytestmark = pytest.mark.usefixtures('quick_compilation')
ONE = jax.devices()[:1]


def quality_of(run, state, devices, features=None):
    """Calls `sample_quality` as an evaluation does."""
    return sample_quality(run, state, devices, features or chosen_features(run, devices))


def test_few_numbers_are_their_own_features(tmp_path):
    run = assembled(tmp_path, 'gan', 'moons,debug')
    function = features.feature_function(run, ONE)
    x = run.data.splits['test']['x'][:50]
    seen = function.apply(x)
    assert function.name == 'normalized coordinates'
    assert seen.probs is None
    mean, std = np.asarray(run.data.spec.mean), np.asarray(run.data.spec.std)
    np.testing.assert_allclose(seen.features, (x - mean) / std, rtol=1e-5, atol=1e-6)
    few = {name: {'x': split['x'][:300]} for name, split in run.data.splits.items()}
    run = run._replace(data=run.data._replace(splits=few))
    quality = quality_of(run, restore.initial_state(run), ONE)
    assert quality['features'] == function.name
    assert 'frechet_distance' in quality['values']
    assert 'entropy_score' not in quality['values']  # there are no classes


def test_images_have_none_of_their_own(tmp_path):
    run = assembled(tmp_path, 'gan')
    assert features.feature_function(run, ONE) is None
    assert not features.has_features(run)


def test_any_function_will_do(tmp_path):
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


def test_too_few_examples_are_no_reason_to_fail_after_a_training(tmp_path, caplog):
    run = assembled(tmp_path, 'gan', 'moons,debug')
    few = {name: array[:11] for name, array in run.data.splits['test'].items()}
    run = run._replace(data=run.data._replace(splits={**run.data.splits, 'test': few}))
    with caplog.at_level('WARNING', logger='atelier'):
        assert quality_of(run, restore.initial_state(run), ONE) == {}
    assert 'half of the 11 test examples is too little' in caplog.text


@pytest.mark.parametrize('f', [lambda x: x, lambda x: np.full((len(x), 2), np.nan), lambda x: x[0]])
def test_what_are_no_features_is_refused(tmp_path, complaint, f):
    x = np.zeros((5, 8, 8, 1))
    assert 'finite and of shape [n, features]' in complaint(features.from_function, f, x)


def test_a_game_cannot_be_evaluated_without_features(tmp_path, complaint, caplog):
    """After training this is a warning; with --mode=evaluate it is an error."""
    run = assembled(tmp_path, 'gan')
    trained = restore.TrainedRun(run, restore.initial_state(run), 'untrained')
    said = complaint(evaluate.evaluate, run, ONE, trained=trained)
    assert '--config.eval.classifier=RUN' in said
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
