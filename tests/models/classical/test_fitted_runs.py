"""Models fitted in closed form go through the same command as all others."""

import numpy as np
import pytest
from marks import EXHAUSTIVE
from support import assembled, few_of_test

import train_lib
from atelier.applications import anomaly, inpaint, sample
from atelier.core.family import is_class_conditional
from atelier.evaluation import evaluate
from atelier.run import config_values, restore, run_folder

pytestmark = pytest.mark.usefixtures('one_device')


DIAGONAL = dict(data__dequantize='uniform', model__covariance='diagonal')


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'change'),
    [
        *(pytest.param(name, {}, marks=EXHAUSTIVE) for name in ('mixture', 'naive_bayes')),
        ('chow_liu', {}),
        ('ppca', {}),
        ('mixture', DIAGONAL),
        ('naive_bayes', dict(data__dequantize='uniform')),
    ],
)
def test_trained_evaluated_and_used(tmp_path, name, change):
    run = few_of_test(assembled(tmp_path, name, **change), 40)
    train_lib.train(run)
    state = restore.load(run).state
    assert 'model' not in state.opt
    values = evaluate.evaluate(run)['values']
    assert values['nll_nats']['mean'] < 64 * np.log(17) + 40  # uniform levels and a margin
    x = sample.apply(run, num_samples=6)
    assert x.shape == (6, 8, 8, 1) and np.isfinite(x).all()
    if is_class_conditional(run.family):
        assert sample.apply(run, num_samples=6, labels='3').shape == x.shape
        assert values['accuracy']['mean'] > 0.5
    inpainted = inpaint.apply(run, num_images=2, num_completions=2, num_examples=4)
    known = np.broadcast_to(inpainted['known'][:, None], inpainted['completions'].shape)
    originals = np.broadcast_to(inpainted['x'][:, None], known.shape)
    np.testing.assert_array_equal(inpainted['completions'][known], originals[known])
    assert np.isfinite(anomaly.apply(run, num_images=2)['score']).all()


def test_all_of_the_training_split_is_fitted(tmp_path):
    """Batch size 0 becomes the split's size; the run keeps it, and the same command resumes."""
    change = dict(model__pseudo_count=0.0, data__without_classes=(9,))
    run = assembled(tmp_path, 'naive_bayes', 'digits', **change)
    x, label = (np.asarray(run.data.splits['train'][name]) for name in ('x', 'label'))
    assert run.config.train.batch_size == len(x) != 1000
    run_config, file_config = run.config.to_dict(), run.config_file.config().to_dict()
    resumed_config = {**run_config, 'train': file_config['train']}
    assert file_config['train']['batch_size'] == 0
    config_values.check_same_values(run.folder, run_config, resumed_config)
    train_lib.train(run)
    state = restore.load(run_folder.reopen(run.folder)).state
    level_probs = np.exp(state.params['model']['components']['log_probs'])
    share = (x[label == 3].reshape(-1, 64)[..., None] == np.arange(17)).mean(0)
    np.testing.assert_allclose(level_probs[3].reshape(share.shape), share, atol=1e-6)


@pytest.mark.slow
def test_minibatches_add_up_to_the_whole(tmp_path):
    """Naive Bayes fitted on an epoch's ten minibatches equals the fit on the whole split."""
    whole = assembled(tmp_path / 'whole', 'naive_bayes', 'digits', model__pseudo_count=0.0)
    cadence = dict(train__steps=10, train__evaluate_every=10, train__checkpoint_every=10)
    parts = assembled(
        tmp_path / 'parts', 'naive_bayes', 'digits', model__pseudo_count=0.0,
        train__batch_size=100, train__steps_per_dispatch=10, **cadence,
    )  # fmt: skip
    weights = []
    for run in (whole, parts):
        train_lib.train(run)
        weights.append(restore.load(run).state.params['model'])
    level_probs = [np.exp(w['components']['log_probs']) for w in weights]
    np.testing.assert_allclose(*level_probs, atol=1e-5)
    np.testing.assert_allclose(*[w['log_weights'] for w in weights], atol=1e-5)
