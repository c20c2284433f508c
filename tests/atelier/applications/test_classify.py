"""`--mode=classify`: class probabilities and their calibration."""

import json

import numpy as np
import pytest
from support import assembled, few_of_test, make_run

import train_lib
from atelier import checkout
from atelier.applications import classify, perform
from atelier.errors import UserError
from atelier.evaluation import evaluate
from atelier.run import experiment, restore, run_folder

pytestmark = pytest.mark.usefixtures('one_device')


def trained(folder, name):
    """A run with its folder, which `--beside` can reopen."""
    config_file = checkout.config_file(f'{checkout.ROOT}/configs/{name}.py:digits,debug')
    config = config_file.config()
    run_folder.check_same(folder, config_file, config)
    run = experiment.assemble(folder, config_file, config)
    train_lib.train(run)
    return run


@pytest.fixture(scope='module')
def naive_bayes(tmp_path_factory):
    return trained(tmp_path_factory.mktemp('classify') / 'naive_bayes', 'naive_bayes')


@pytest.fixture(scope='module')
def runs(naive_bayes):
    classifier = trained(naive_bayes.folder.with_name('classifier'), 'classifier')
    return {'naive_bayes': naive_bayes, 'classifier': classifier}


@pytest.mark.slow
def test_bayes_rule_beside_a_classifier(runs):
    run, other = runs['naive_bayes'], runs['classifier']
    arrays = classify.apply(run, beside=str(other.folder))
    (path,) = (run.folder / 'applications').glob('classify-beside-????????.json')
    metrics = json.loads(path.read_text())['runs']
    assert path.with_suffix('.png').exists()
    assert arrays['logits'].shape == arrays['beside_logits'].shape == (447, 10)
    for each in (run, other):  # equal to the evaluation's values
        values = evaluate.evaluate(each)['values']
        own_metrics = metrics[each.folder.name]
        np.testing.assert_allclose(own_metrics['accuracy']['mean'], values['accuracy']['mean'])
        np.testing.assert_allclose(
            own_metrics['as_they_are']['cross_entropy_nats']['mean'],
            values['cross_entropy_nats']['mean'],
            rtol=1e-4,
        )
    naive = metrics['naive_bayes']  # overconfident: it ignores dependence between pixels
    assert naive['temperature'] > 1.1
    assert (
        naive['with_temperature']['calibration_error'] < naive['as_they_are']['calibration_error']
    )
    assert naive['as_they_are']['confidence'] > naive['accuracy']['mean'] + 0.05


@pytest.mark.slow
def test_a_conditional_vae_classifies_by_its_likelihood(tmp_path):

    run = few_of_test(assembled(tmp_path, 'cvae', eval__num_importance_samples=5), 30)
    state = train_lib.train(run)
    arrays = classify.apply(run)
    assert arrays['logits'].shape == (30, 10) and np.isfinite(arrays['logits']).all()
    assert restore.load(run).state.step == state.step


def test_bad_input_is_refused(naive_bayes, tmp_path):
    run = naive_bayes
    for beside, message in (
        (str(run.folder), 'the run itself'),
        (str(tmp_path / 'none'), 'none'),
    ):
        with pytest.raises(UserError, match=message):
            classify.apply(run, beside=beside)
    with pytest.raises(UserError, match='--num_bins=0'):
        classify.apply(run, num_bins=0)
    vae = make_run(tmp_path / 'vae')
    with pytest.raises(UserError, match='has no class probabilities'):
        perform(classify.APPLICATION, vae)
    vae.folder.mkdir()
    run_folder.write_config(vae, 1)
    with pytest.raises(UserError, match='has no class probabilities'):
        classify.apply(run, beside=str(vae.folder))


@pytest.mark.slow
def test_another_run_classifies_the_same_given_examples(runs, tmp_path):
    run, other = runs['naive_bayes'], runs['classifier']
    x = run.data.splits['valid']['x'][:7]
    np.savez(tmp_path / 'mine.npz', x=x, label=run.data.splits['valid']['label'][:7])
    options = dict(data=str(tmp_path / 'mine.npz'), beside=str(other.folder))
    arrays = perform(classify.APPLICATION, run, **options)
    assert arrays['beside_logits'].shape == arrays['logits'].shape == (7, 10)
    assert arrays['row'].tolist() == [*range(7)]
