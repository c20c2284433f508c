"""A refit: equal to a run on the joined split, resumable, said wherever it is shown; refusals."""

import json
import shutil

import jax
import numpy as np
import pytest
from resuming import interrupted_after
from support import begin, make_run, recipe_and_config

import train_lib
from atelier import applications, door, files
from atelier.errors import UserError
from atelier.evaluation import compare, evaluate, printed
from atelier.evaluation.pages import known as known_lib
from atelier.evaluation.pages import overview
from atelier.run import leakage, restore, run_folder
from atelier.run.refit import Choice, read
from atelier.sweep import plan
from atelier.training import refit
from atelier.training.stop_signals import Stopped

X = np.random.RandomState(0).randint(0, 9, (420, 8, 8, 1))
TRAIN, VALID, TEST = X[:300], X[300:360], X[360:]
# the first validation is the worst one: 10 of 30 steps are chosen
SETTINGS = dict(
    train__steps=30,
    train__evaluate_every=10,
    train__checkpoint_every=5,
    train__best_mode='min',
    eval__num_pictures=4,
)


def train(run):
    return train_lib.train(run, jax.devices()[:1])


def run_on(path, folder, **changes):
    return make_run(folder, 'arrays,debug', data__path=str(path), **{**SETTINGS, **changes})


def refit_by(choosing, stop_after=None):
    run = refit.refit_of(choosing)
    if stop_after is None:
        return run, train(run)
    with interrupted_after(stop_after), pytest.raises(Stopped):
        train(run)
    return run, None


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data')
    np.savez(folder / 'split.npz', x_train=TRAIN, x_valid=VALID, x_test=TEST, levels=9)
    return folder


@pytest.fixture(scope='module')
def whole(data, tmp_path_factory):
    """A choosing run and its refit. Tests must not modify them."""
    choosing = run_on(data / 'split.npz', tmp_path_factory.mktemp('whole') / 'run')
    train(choosing)
    return choosing, *refit_by(choosing)


@pytest.fixture
def chosen(whole, tmp_path):
    """A copy of the choosing run, without its refit."""
    shutil.copytree(whole[0].folder, tmp_path / 'run')
    return whole[0]._replace(folder=tmp_path / 'run')


def assert_same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_it_equals_a_run_on_the_joined_split(whole, data, tmp_path):
    _, run, state = whole
    assert int(state.step) == 10
    assert run.config.hypers == whole[0].config.hypers  # the schedules are not compressed
    explicit = run_on(data / 'split.npz', tmp_path / 'explicit', train__steps=10)
    parts = [explicit.data.splits[split]['x'] for split in ('train', 'valid')]
    splits = {**explicit.data.splits, 'train': {'x': np.concatenate(parts)}}
    assert_same(state, train(explicit._replace(data=explicit.data._replace(splits=splits))))


def test_it_says_what_chose_it_and_validates_nothing(whole):
    choosing, run, _ = whole
    best = [
        json.loads(line)
        for line in (choosing.folder / 'metrics.jsonl').read_text().splitlines()
        if 'valid/elbo_nats' in line
    ][0]
    record = run_folder.load(choosing.folder)
    assert run.folder == choosing.folder.with_name('run-refit')
    assert run.choice == Choice(
        str(choosing.folder), record['id'], 10, 'elbo_nats', best['valid/elbo_nats']
    )
    assert 'valid/' not in (run.folder / 'metrics.jsonl').read_text()
    assert restore.load(run).weights == 'last checkpoint, step 10'
    assert run_folder.reopen(run.folder).choice == run.choice


@pytest.mark.slow
@pytest.mark.parametrize(
    'changes', [{}, pytest.param({'data__placement': 'stream'}, marks=pytest.mark.slow)]
)
def test_an_interrupted_refit_equals_a_whole_one(whole, chosen, changes):
    """It continues without its choosing run, and the same from the host's memory."""
    config = chosen.config.copy_and_resolve_references()
    config.data.placement = changes.get('data__placement', 'auto')
    run, _ = refit_by(chosen._replace(config=config), stop_after=5)
    shutil.rmtree(chosen.folder)
    again = run_folder.reopen(run.folder, to_train=True)
    assert_same(train(again), whole[2])


@pytest.mark.slow
def test_the_same_command_continues_it_and_finds_it_finished(whole, chosen, caplog):
    refit_by(chosen, stop_after=5)
    run, state = refit_by(chosen)
    assert_same(state, whole[2])
    with caplog.at_level('INFO', logger='atelier'):
        refit_by(chosen)
    assert f'{run.folder} is finished at step 10' in caplog.text


@pytest.mark.slow
def test_evaluations_tables_and_pages_say_it(whole, caplog):
    choosing, run, _ = whole
    described = f'refit on train + validation, for the 10 steps that {choosing.folder} chose (best'
    with caplog.at_level('INFO', logger='atelier'):
        for each in (choosing, run):
            printed.show(evaluate.evaluate(each), each)
    assert described in caplog.text
    evaluation = json.loads((run.folder / 'evaluation.json').read_text())
    assert evaluation['refit'] == run.choice._asdict()
    assert 'refit' not in json.loads((choosing.folder / 'evaluation.json').read_text())
    columns = [compare.column_of(str(each.folder)) for each in (choosing, run)]
    rows = {row[0]: row[1:] for row in compare.config_differences(columns)}
    assert rows['refit'] == ['None', str(run.choice)]
    assert rows['data.train_on_valid'] == ['False', 'True']
    assert [*compare.incomparable(columns)] == []
    page = str(overview.overview(known_lib.known(run.folder)).body)
    assert described in page
    assert f'<span>--workdir={choosing.folder}</span> <span>--refit</span>' in page


def test_a_batch_of_the_whole_split_stays_one(data, tmp_path):
    run = run_on(data / 'split.npz', tmp_path / 'run', train__batch_size=0)
    choice = Choice('run', None, 10, 'elbo_nats', -1.0)
    assert run.config.train.batch_size == 300
    assert refit.refit_config(run, choice).train.batch_size == 0


@pytest.mark.slow
def test_results_on_validation_examples_are_warned_of(whole, caplog):
    choosing, run, _ = whole
    warning = 'was trained on its validation examples'
    for each, is_expected in ((choosing, False), (run, True)):
        caplog.clear()
        trained = restore.load(each)
        door.over_split(trained, lambda weights, batch, rng: batch['x'][:, 0, 0, 0], 'valid')
        assert (warning in caplog.text) == is_expected
        caplog.clear()
        applications.perform(applications.load('score'), each, split='valid')
        assert (warning in caplog.text) == is_expected


def test_weights_of_a_refit_have_been_trained_on_validation(whole, data, tmp_path, caplog):
    choosing, run, _ = whole
    leakage.warn_of_leakage(choosing, run.folder)
    assert 'which include 60 of the 60 valid examples of this run' in caplog.text
    caplog.clear()
    leakage.warn_of_leakage(run, choosing.folder)
    leakage.warn_of_leakage(run, run.folder)
    assert caplog.text == ''


@pytest.mark.slow
def test_an_unfinished_run_has_chosen_nothing(data, tmp_path):
    run = run_on(data / 'split.npz', tmp_path / 'run')
    begin(run)
    with pytest.raises(UserError, match='is at step 0 of 30: a refit needs the whole run'):
        refit.refit_of(run)
    with interrupted_after(20), pytest.raises(Stopped):
        train(run)
    with pytest.raises(UserError, match='is at step 20 of 30: a refit needs the whole run'):
        refit.refit_of(run)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(train__best_metric=''), 'set config.train.best_metric to a validation metric'),
        (dict(data__train_on_valid=True), 'config.data.train_on_valid=True, the run is trained'),
    ],
)
def test_a_run_without_validation_cannot_choose(data, tmp_path, changes, message):
    run = run_on(data / 'split.npz', tmp_path / 'run', **changes)
    with pytest.raises(UserError, match=message):
        refit.check_can_choose(run.config)


@pytest.mark.slow
def test_another_choice_is_refused(chosen):
    run, _ = refit_by(chosen, stop_after=5)
    check = lambda: run_folder.check_same(run.folder, run.config_file, run.config)
    with pytest.raises(UserError, match=f'is a refit of {chosen.folder}: continue it with'):
        check()
    path = run.folder / 'config.json'
    record = files.read_json(path)
    record['refit'] = run.choice._replace(steps=20)._asdict()
    files.write_json(path, record)
    with pytest.raises(UserError, match=f'for the 20 steps .* and {chosen.folder} chooses 10 now'):
        refit.refit_of(chosen)
    files.write_json(path, {**record, 'refit': None})
    with pytest.raises(UserError, match='is the folder of a run that is no refit'):
        refit.refit_of(chosen)


@pytest.mark.slow
def test_both_folders_may_move(whole, chosen, tmp_path):
    refit_by(chosen, stop_after=5)
    (tmp_path / 'moved').mkdir()
    for name in ('run', 'run-refit'):
        (tmp_path / name).rename(tmp_path / 'moved' / name)
    moved = chosen._replace(folder=tmp_path / 'moved' / 'run')
    run, state = refit_by(moved)
    assert_same(state, whole[2])
    assert run_folder.load(run.folder)['refit'].run == str(moved.folder)


def test_other_data_are_refused(chosen, data):
    np.savez(data / 'other.npz', x_train=TRAIN, x_valid=VALID + 1, x_test=TEST, levels=10)
    config = chosen.config.copy_and_resolve_references()
    config.data.path = str(data / 'other.npz')
    with pytest.raises(UserError, match='the data of .* have changed since it chose'):
        refit.refit_of(chosen._replace(config=config))


@pytest.mark.parametrize(
    'stored',
    ['run', {}, {'run': 'a', 'id': 'b', 'steps': 0, 'metric': 'c', 'value': 1.0}]
    + [{'run': 'a\n', 'id': 'b', 'steps': 1, 'metric': 'c', 'value': 1.0}]
    + [{'run': 'a', 'id': 'b', 'steps': True, 'metric': 'c', 'value': 1.0}]
    + [{'run': 'a', 'id': 'b', 'steps': 1, 'metric': 'c', 'value': float('nan')}],
)
def test_a_damaged_record_is_refused(tmp_path, stored):
    with pytest.raises(UserError, match='refit is'):
        read(tmp_path / 'config.json', stored)


def test_a_sweep_is_refused(data, tmp_path):
    run = run_on(data / 'split.npz', tmp_path / 'run', data__train_on_valid=True)
    with pytest.raises(UserError, match='a sweep compares its members by validation'):
        plan.runs_of(tmp_path / 'sweep', run.config_file, run.config, [{'seed': 0}])


@pytest.mark.slow
def test_from_python(tmp_path, data):
    config_file, config = recipe_and_config('arrays,debug', data__path=str(data / 'split.npz'))
    config.train.update(steps=20)
    for _ in range(2):
        trained = door.train(config, config_file.build, tmp_path / 'run', refit=True)
        assert trained.run.folder == tmp_path / 'run-refit'
        assert trained.weights == f'last checkpoint, step {trained.run.choice.steps}'
    config.train.best_metric = ''
    with pytest.raises(UserError, match='chooses no number of steps'):
        door.train(config, config_file.build, tmp_path / 'other', refit=True)
