"""k + k steps equal 2k steps, bitwise: the State, the best checkpoint and metrics.jsonl."""

import contextlib
import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest
from marks import exhaustive_but
from resuming import SETTINGS, STEPS, assert_same, outcome, train
from support import make_run

import train_lib
from atelier.errors import UserError
from atelier.evaluation import evaluate
from atelier.run import restore, run_folder
from atelier.run.checkpoint import Checkpoints, Memory
from atelier.training import validation


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """The folder of an uninterrupted run. Tests must not modify it."""
    run = make_run(tmp_path_factory.mktemp('whole') / 'run', **SETTINGS)
    train(run)
    return run.folder


@pytest.fixture(scope='module')
def uninterrupted(whole):
    return outcome(make_run(whole, **SETTINGS))


@pytest.fixture
def finished(whole, tmp_path):
    """A copy of the uninterrupted run."""
    shutil.copytree(whole, tmp_path / 'run')
    return make_run(tmp_path / 'run', **SETTINGS)


@pytest.mark.parametrize(
    'stops',
    exhaustive_but([(25,), (5, 10, 15, 35)], [(25,), (5,), (20,), (10, 25), (5, 10, 15, 35)]),
)
def test_stopping_and_continuing_changes_nothing(tmp_path, uninterrupted, stops):
    for stop in (*stops, None):
        run = make_run(tmp_path / 'run', **SETTINGS)
        train(run, stop)
    assert_same(outcome(run), uninterrupted)
    assert int(uninterrupted[0].step) == STEPS


def test_a_finished_run_is_reported_and_unchanged(finished, uninterrupted, caplog):
    with caplog.at_level('INFO', logger='atelier'):
        train(finished)
    assert f'is finished at step {STEPS}' in caplog.text
    assert_same(outcome(finished), uninterrupted)


@pytest.mark.slow
def test_a_run_may_be_extended(tmp_path):
    """With a constant learning rate it then equals the long run, except for evaluations."""
    train(make_run(tmp_path / 'grown', train__steps=20, hypers__decay_steps=0.0))
    longer = dict(train__steps=40, hypers__decay_steps=0.0)
    train(make_run(tmp_path / 'grown', **longer))
    train(make_run(tmp_path / 'long', **longer))
    grown, long = (
        outcome(make_run(tmp_path / 'grown', **longer)),
        outcome(make_run(tmp_path / 'long', **longer)),
    )
    assert_same(grown, long)
    with pytest.raises(UserError, match='train.steps'):
        make_run(tmp_path / 'grown', train__steps=20, hypers__decay_steps=0.0)


def test_lines_after_the_checkpoint_are_cut_and_a_torn_last_line_too(tmp_path, uninterrupted):
    run = make_run(tmp_path / 'run', **SETTINGS)
    train(run, stop_after=25)
    with (run.folder / 'metrics.jsonl').open('a') as lines:
        lines.write('{"step": 26, "train/loss": 1.0}\n{"step": 30, "tra')
    train(run)
    assert_same(outcome(run), uninterrupted)
    assert int(uninterrupted[0].step) == STEPS


@pytest.mark.parametrize('sign', [1.0, -1.0])
def test_memory_keeps_the_best_step(sign):
    memory = Memory()
    values = [3.0, 5.0, 4.0, float('nan'), 5.0, 6.0]
    best, since = [], []
    for step, value in enumerate(values):
        memory = validation.remember(memory, step, sign * value, sign)
        best.append(memory.best_step)
        since.append(memory.evaluations_since_best)
    assert best == [0, 1, 1, 1, 1, 5]
    assert since == [0, 0, 1, 2, 3, 0]


@pytest.mark.slow
def test_early_stopping_survives_a_restart(tmp_path, monkeypatch):
    """The metric never improves: the run ends after `patience` evaluations, and stays ended."""
    monkeypatch.setattr(
        validation,
        'remember',
        lambda memory, step, value, sign: memory._replace(
            best_value=0.0, best_step=10, evaluations_since_best=memory.evaluations_since_best + 1
        ),
    )
    settings = {**SETTINGS, 'train__patience': 2}
    for _ in range(2):
        train(make_run(tmp_path / 'run', **settings))
        run = make_run(tmp_path / 'run', **settings)
        with contextlib.closing(Checkpoints(run.folder / 'checkpoints')) as checkpoints:
            assert checkpoints.steps()[-1] == 20


@pytest.mark.slow
def test_the_best_checkpoint_is_kept_and_evaluated(tmp_path, monkeypatch):
    """The metric is best at step 10; two later checkpoints do not replace that one."""
    plain = validation.remember

    def remember(memory, step, value, sign):
        del value
        return plain(memory, step, -abs(step - 10.0), sign)

    monkeypatch.setattr(validation, 'remember', remember)
    run = make_run(tmp_path / 'run', **SETTINGS)
    train(run)
    with contextlib.closing(Checkpoints(run.folder / 'checkpoints')) as checkpoints:
        assert checkpoints.steps() == [10, 35, 40]
    _, state, weights_label = restore.load(run)
    assert int(state.step) == 10
    assert weights_label == 'best checkpoint, step 10'
    with run.config.unlocked():
        run.config.eval.weights = 'last'
    assert int(restore.load(run).state.step) == 40


def test_a_diverging_run_stops_and_saves_nothing_bad(tmp_path):
    """The learning rate overflows: the error names the step, and every checkpoint is finite."""
    run = make_run(
        tmp_path / 'run', **SETTINGS, hypers__learning_rate=1e18, train__steps_per_dispatch=5
    )
    with pytest.raises(UserError, match=r'(nan|inf) at step \d+: training stopped'):
        train(run)
    with contextlib.closing(Checkpoints(run.folder / 'checkpoints')) as checkpoints:
        checkpoint = checkpoints.restore_newest(restore.initial_state(run))
    if checkpoint is not None:
        assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(checkpoint[0].params))
    rows = [json.loads(line) for line in (run.folder / 'metrics.jsonl').read_text().splitlines()]
    assert all(np.isfinite(value) for row in rows for value in row.values())


@pytest.mark.slow
@pytest.mark.parametrize('spoil', ['update overflows', 'metric is not finite'])
def test_saved_weights_are_finite_even_after_the_last_step(tmp_path, spoil):
    """The gradient of the only step is finite, but the updated parameters are not."""
    rate = 1e38 if spoil == 'update overflows' else 1e-3
    run = make_run(
        tmp_path / 'run',
        train__steps=1,
        train__evaluate_every=1,
        train__checkpoint_every=1,
        hypers__learning_rate=rate,
        hypers__weight_decay=1e10 if spoil == 'update overflows' else 0.0,
        hypers__decay_steps=0.0,
    )
    if spoil == 'update overflows':
        with pytest.raises(UserError, match='parameters that are not finite at step 1'):
            train(run)
        assert not list((run.folder / 'checkpoints').glob('[0-9]*'))
    else:  # a non-finite metric alone does not stop a run
        (turn,) = run.family.turns

        def loss(*arguments):
            losses, (extra, metrics) = turn.loss(*arguments)
            return losses, (extra, {**metrics, 'ratio': metrics['kl_nats'] / 0.0})

        family = dataclasses.replace(run.family, turns=(turn._replace(loss=loss),))
        train(run._replace(family=family))
        assert outcome(run)[2].best_step == 1


def test_a_run_is_trained_by_one_process_at_a_time(tmp_path):
    run = make_run(tmp_path / 'run', **{**SETTINGS, 'train__steps': 10})
    with (
        run_folder.only_trainer(run.folder),
        pytest.raises(UserError, match='another process is training'),
    ):
        train(run)
    assert [path.name for path in run.folder.iterdir()] == ['.lock']
    train(run)


def test_reading_a_run_does_not_change_it(finished):
    """Another process may be saving: its unfinished folder stays, as does a damaged checkpoint."""
    run, folder = finished, finished.folder / 'checkpoints'
    unfinished = folder / '45.orbax-checkpoint-tmp'
    unfinished.mkdir()
    (folder / '40' / 'state' / 'manifest.ocdbt').write_bytes(b'')
    before = sorted(path.name for path in folder.iterdir())
    with run.config.unlocked():
        run.config.eval.weights = 'last'
    state = restore.load(run).state
    assert int(state.step) < 40
    assert sorted(path.name for path in folder.iterdir()) == before
    assert not (run.folder / 'damaged').exists()


@pytest.mark.slow
def test_evaluations_are_reused_only_for_the_same_weights_and_settings(tmp_path):
    run = make_run(tmp_path / 'run')
    train(run)
    first = evaluate.evaluate(run)
    assert evaluate.evaluate(run, reuse=True)['seconds'] == first['seconds']
    run.config.eval.batch_size += 1
    second = evaluate.evaluate(run, reuse=True)
    assert second['eval'] != first['eval']
    assert second['values'] == first['values']


@pytest.mark.slow
def test_a_run_continues_on_another_number_of_devices(tmp_path, caplog):
    """It logs this, and its result equals that on one device, up to rounding."""
    settings = dict(train__evaluate_every=10, train__checkpoint_every=10)
    ends = []
    for name, counts in (('one', (1, 1)), ('other', (1, 4))):
        for steps, count in zip((10, 20), counts, strict=True):
            run = make_run(tmp_path / name, train__steps=steps, **settings)
            with caplog.at_level('INFO', logger='atelier'):
                state = train_lib.train(run, jax.devices()[:count])
        ends.append(jax.device_get(state.params))
    assert caplog.text.count('on 4 devices, before on 1: results agree to rounding') == 1
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), *ends)
