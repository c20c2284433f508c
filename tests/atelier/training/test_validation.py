"""What a validation reports and advises for a model without a likelihood."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from support import assembled, replaced, with_unknown_class

import train_lib
from atelier.core.abilities import Sample
from atelier.evaluation.samples.sampling import labels_like
from atelier.report.metrics_log import MetricsLog, read_metrics
from atelier.run import restore
from atelier.run.checkpoint import Memory
from atelier.training import validation

ONE = jax.devices()[:1]


def look(run, times=1):
    """Returns the metrics that `times` validations write to the folder."""
    run.folder.mkdir(parents=True, exist_ok=True)
    watching, state = (
        validation.Watch(run, validation.CompiledValidation(run, ONE)),
        restore.initial_state(run),
    )
    metrics_log = MetricsLog(run.folder, 0, 32)
    for _ in range(times):
        watching(state, Memory(), metrics_log)
    metrics_log.close()
    return read_metrics(run.folder)


def with_samples(run, sample):
    return run._replace(family=replaced(run.family, Sample(sample)))


def test_coverage_is_low_for_copies_of_one_example(tmp_path):
    run = assembled(tmp_path / 'run', 'gan', 'moons,debug')
    x = jax.numpy.asarray(run.data.splits['train']['x'], jax.numpy.float32)
    rows = lambda weights, rng, condition: x[rng.rows]
    one = lambda weights, rng, condition: x[jax.numpy.zeros_like(rng.rows)]
    (of_data,), (of_one,) = (
        look(with_samples(run._replace(folder=tmp_path / name), sample))
        for name, sample in (('data', rows), ('one', one))
    )
    assert of_data['valid/coverage'] > 0.9
    assert of_one['valid/coverage'] < 0.1


def test_families_with_a_likelihood_are_not_sampled_for_coverage(tmp_path):
    run = assembled(tmp_path / 'run', 'vae')
    (row,) = look(run)
    assert 'valid/coverage' not in row


@pytest.mark.parametrize('value', [np.nan, np.inf, 1.0])
def test_a_validation_that_is_not_finite_is_told_once(tmp_path, caplog, value):
    """In a line of the program alone, not in warnings of TensorBoard's writer."""
    run = assembled(tmp_path / 'run', 'ppca', 'moons,debug', train__best_metric='log_prob_nats')
    compiled = validation.CompiledValidation(run, ONE)
    compiled.metrics = lambda *rest: {'log_prob_nats': np.array([value])}
    run.folder.mkdir()
    metrics_log = MetricsLog(run.folder, 0, 32)
    watching, memory = validation.Watch(run, compiled), Memory()
    for _ in range(2):
        memory = watching(restore.initial_state(run), memory, metrics_log)
    metrics_log.close()
    lines = [record.getMessage() for record in caplog.records if record.levelname == 'WARNING']
    is_finite = bool(np.isfinite(value))
    assert len(lines) == (0 if is_finite else 1) and (memory.best_step is not None) == is_finite
    assert is_finite or 'valid/log_prob_nats is not finite' in lines[0]


@pytest.mark.slow
def test_coverage_may_choose_the_best_checkpoint(tmp_path):
    run = assembled(tmp_path / 'run', 'gan', train__best_metric='coverage')
    train_lib.train(run, ONE)
    valid = [row for row in read_metrics(run.folder) if 'valid/coverage' in row]
    best = max(valid, key=lambda row: row['valid/coverage'])
    assert f'step {best["step"]}' in restore.load(run).weights


@pytest.mark.slow
def test_advice_is_repeated_only_after_it_was_not_needed(tmp_path, caplog):
    """Advice uses the means of all validations, including those of earlier processes."""
    run = assembled(tmp_path / 'run', 'gan')
    history_lengths = []

    def advise(history):
        history_lengths.append(len(history))
        return {'wrong': 'turn the knob'} if len(history) in (2, 3, 5) else {}

    turns = tuple(turn._replace(advise=advise) for turn in run.family.turns)
    advised = run._replace(family=dataclasses.replace(run.family, turns=turns))
    with caplog.at_level('WARNING', logger='atelier'):
        look(advised, times=3)
        assert caplog.text.count('turn the knob') == 1
        watch = validation.Watch(advised, validation.CompiledValidation(advised, ONE))
        metrics_log = MetricsLog(run.folder, 10**9, 32)
        for _ in range(2):
            watch(restore.initial_state(run), Memory(), metrics_log)
        metrics_log.close()
    assert history_lengths == [1, 2, 3, 4, 5]
    assert caplog.text.count('turn the knob') == 2


@pytest.mark.slow
def test_training_reports_a_discriminator_that_wins(tmp_path, caplog):
    """With a frozen generator, any discriminator wins."""
    run = assembled(
        tmp_path / 'run',
        'gan',
        hypers__learning_rate_generator=0.0,
        hypers__learning_rate=0.02,
        train__steps=40,
        train__evaluate_every=20,
    )
    with caplog.at_level('WARNING', logger='atelier'):
        train_lib.train(run, ONE)
    assert 'the discriminator has won' in caplog.text
    last = [json.loads(line) for line in (run.folder / 'metrics.jsonl').read_text().splitlines()]
    valid = [row for row in last if 'valid/accuracy_real' in row]
    assert np.min([valid[-1]['valid/accuracy_real'], valid[-1]['valid/accuracy_fake']]) > 0.98


@pytest.mark.parametrize('config', ['gan', pytest.param('cgan', marks=pytest.mark.slow)])
def test_a_validation_split_of_unknown_classes_alone_is_watched_whole(tmp_path, config):
    """Samples, which cannot be of those classes, are compared with its examples anyway."""
    run = with_unknown_class(assembled(tmp_path / 'run', config))
    (row,) = look(run)
    assert np.isfinite(row['valid/coverage'])
    if config == 'cgan':
        labels = labels_like(run, 'valid', 20)
        np.testing.assert_array_equal(labels, [*range(9), *range(9), 0, 1])
