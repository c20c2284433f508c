"""The Python API: opens, samples and evaluates a run; trains a user's own family."""

import inspect
import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import train_lib
from atelier import cli, door, files
from atelier.applications import sample as sample_application
from atelier.core import game
from atelier.core.abilities import Classify, Codes, LogProb
from atelier.core.family import Family
from atelier.core.types import Weights
from atelier.errors import UserError


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """The folder of a debug VAE run, trained as main.py would train it."""
    from support import make_run

    folder = tmp_path_factory.mktemp('run') / 'run'
    train_lib.train(make_run(folder, train__steps=10))
    return folder


def test_a_run_is_opened_sampled_and_evaluated(folder):
    """The results equal those of the modes of main.py."""
    run = door.load(folder)
    assert run.config.model.latent_dim == 2
    assert run.data.name == 'digits'
    assert int(run.state.step) == 10
    assert repr(run) == f"TrainedRun('{folder}', 'best checkpoint, step 10')"
    assert repr(run.run) == f"Run('{folder}', config='configs/vae.py:digits,debug')"
    assert repr(run.data) == "Dataset('digits', not read yet)"
    assert run.data.size('test') == 447
    assert repr(run.data).startswith("Dataset('digits', '8x8 digits with 17 grey levels 0..16', ")
    kept = 'event_shape=(8, 8, 1), levels=17, num_classes=10, background=(0.0,)'
    assert repr(run.data.spec) == f'Spec({kept})'
    assert repr(run.state) == 'State(step=10, model: 7,684 parameters)'
    assert repr(run.state.weights) == 'Weights(model: 7,684 parameters)'
    assert repr(run.family).startswith('Family(turns: model; abilities: Sample, Codes, ')
    x = door.sample(run, 5, seed=3)
    np.testing.assert_array_equal(x, sample_application.apply(run.run, 5, 3))
    np.testing.assert_array_equal(x, sample_application.compute(run, 5, 3, given=None)[0])
    result = door.evaluate(run)
    assert result == files.read_json(folder / 'evaluation.json')
    codes = door.over_split(run, run.family.ability(Codes).encode, 'test')
    assert codes.shape == (447, 2)
    metrics = door.over_split(run, run.family.metrics)
    expected = result['values']['kl_nats']['mean']
    np.testing.assert_allclose(np.mean(metrics['kl_nats']), expected, rtol=1e-5)


def test_n_examples_are_the_first_of_the_split(folder):
    run = door.load(folder)
    whole = door.over_split(run, run.family.ability(Codes).encode, 'valid')
    np.testing.assert_allclose(
        door.over_split(run, run.family.ability(Codes).encode, 'valid', n=7), whole[:7], rtol=1e-5
    )
    assert len(whole) == 350


def test_an_error_names_a_python_object_in_a_config(tmp_path, complaint):
    settings = door.common_config()
    settings.data.name = 'digits'
    settings.model = {'activation': jax.nn.relu}
    line = complaint(door.train, settings, independent_pixels, tmp_path / 'run')
    assert 'config.model.activation=' in line
    assert not (tmp_path / 'run' / 'config.json').exists()


def test_training_needs_a_function_that_builds_the_family(settings, tmp_path):
    with pytest.raises(UserError, match=r'build=1: give the function build\(config, spec\)'):
        inspect.unwrap(door.train)(settings, 1, tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_evaluation_settings_may_change(folder):
    run = door.load(folder, overrides={'eval.num_importance_samples': 3, 'eval.weights': 'last'})
    assert run.family.ability(LogProb).budget == 'k = 3'
    assert run.weights.startswith('last')


@pytest.mark.slow
def test_the_command_line_from_python(folder, tmp_path, monkeypatch, capsys):
    """`main` works twice in one process, and with a user's application."""
    monkeypatch.setattr(sys, 'argv', ['pytest'])
    for k in (2, 3):
        field = f'--config.eval.num_importance_samples={k}'
        cli.perform(cli.parse(['x', '--mode=evaluate', f'--workdir={folder}', field]))
        result = files.read_json(folder / f'evaluation-num_importance_samples-{k}.json')
        assert result['log_prob'].endswith(f'k = {k}')
    lines = ['from atelier.applications import Application']
    lines += [
        'def apply(run, n: int = 1): print(n, run.data.name)',
        'APPLICATION = Application(apply)',
    ]
    (tmp_path / 'mine.py').write_text('\n'.join(lines))
    cli.perform(cli.parse(['x', f'--mode={tmp_path}/mine.py', f'--workdir={folder}', '--n=5']))
    assert capsys.readouterr().out == '5 digits\n'


@pytest.mark.parametrize(
    ('overrides', 'message'),
    [
        ({'model.latent_dim': 4}, r'model\.latent_dim=4: it is fixed for this run \(2\)'),
        (
            {'train.steps': 40},
            r'fixed for this run \(10\).*train this run further, leave out --mode',
        ),
        ({'eval.nonsense': 4}, 'nonsense'),
        ({'eval.batch_size': 'many'}, 'many'),
    ],
)
def test_overrides_of_fixed_settings_are_refused(folder, overrides, message):
    with pytest.raises(UserError, match=message):
        door.load(folder, overrides=overrides)


def test_invalid_calls_are_user_errors(folder, tmp_path):
    run = door.load(folder)
    with pytest.raises(UserError, match="'x' is not a loaded run: pass atelier.load"):
        door._run_of('x')  # tests enforce the types of the public functions
    with pytest.raises(UserError, match='does not have this ability; it has Sample, Codes, '):
        door.over_split(run, run.family.ability(Classify))
    with pytest.raises(UserError, match=r'LogProb is a type: pass run.family.ability\(LogProb\)'):
        door.over_split(run, LogProb)
    with pytest.raises(UserError, match='Codes is not a function: .* of encode, decode, prior, '):
        door.over_split(run, run.family.ability(Codes))
    with pytest.raises(UserError, match="'encode' is not a function: give one, such as run.family"):
        door._per_example(run.run, 'encode')
    for n in (0, -1):
        with pytest.raises(UserError, match=f'n={n}'):
            door.sample(run, n)
        with pytest.raises(UserError, match=f'n={n}'):
            door.over_split(run, run.family.ability(Codes).encode, n=n)
    for given in ({'prompt': ''}, {'prompt': ['red']}, {'condition': [[1, 2], [3]]}):
        with pytest.raises(UserError, match='is not conditional on numbers, several labels or'):
            door.sample(run, 1, **given)
    with pytest.raises(UserError, match='labels, condition and prompt: give one of them'):
        door.sample(run, 1, labels=[1], prompt='')
    with pytest.raises(UserError, match="no split 'tset'"):
        door.over_split(run, run.family.ability(Codes).encode, 'tset')
    with pytest.raises(UserError, match='does not exist'):
        door.load(tmp_path / 'nothing')


def independent_pixels(config, spec):
    """The README's family: each pixel has its own distribution over the discrete values."""

    def log_prob(weights, batch, rng):
        table = jax.nn.log_softmax(weights.params['model'])
        levels = batch['x'].astype(jnp.int32)[..., None]
        return jnp.take_along_axis(table[None], levels, -1).sum((1, 2, 3, 4))

    def loss(weights, batch, rng, step, hypers):
        return {'model': -jnp.mean(log_prob(weights, batch, rng))}, (weights.extra, {})

    return Family(
        init=lambda key, batch: Weights(
            {'model': jnp.zeros((*spec.event_shape, spec.levels))}, {'model': {}}
        ),
        turns=(game.Turn(('model',), loss),),
        metrics=lambda *arguments: {'log_prob_nats': log_prob(*arguments)},
        abilities=(LogProb(log_prob, 'exact'),),
    )


@pytest.fixture
def settings():
    config = door.common_config()
    with pytest.raises(AttributeError):
        config.hypers.learning_rat = 0.3
    config.train.update(steps=30, batch_size=200, evaluate_every=30, checkpoint_every=30)
    config.hypers.learning_rate = 0.3
    return config


def test_a_user_family_is_trained_and_loaded(settings, tmp_path):
    """Its training NLL reaches the closed form: the entropy of each pixel's counts."""
    run = door.train(settings, independent_pixels, tmp_path / 'mine')
    x = run.data.splits['train']['x'].astype(int)
    counts = np.eye(17)[x].mean(0)
    entropy = -np.sum(counts * np.log(np.maximum(counts, 1e-300)))
    nll = -np.mean(door.over_split(run, run.family.ability(LogProb), 'train'))
    assert entropy < nll < entropy + 3
    assert door.evaluate(run)['log_prob'] == 'exact'
    loaded = door.load(tmp_path / 'mine', independent_pixels)
    jax.tree.map(np.testing.assert_array_equal, loaded.state, run.state)


@pytest.mark.slow
def test_a_user_family_is_continued_extended_and_used_as_init_from(settings, tmp_path):
    door.train(settings, independent_pixels, tmp_path / 'mine')
    settings.train.steps = 60
    run = door.train(settings, independent_pixels, tmp_path / 'mine')
    assert int(run.state.step) == 60
    begun = door.train(
        settings, independent_pixels, tmp_path / 'begun', init_from=tmp_path / 'mine'
    )
    assert begun.run.init_from == str(tmp_path / 'mine')
    first = json.loads((tmp_path / 'begun' / 'metrics.jsonl').read_text().split('\n')[0])
    new = json.loads((tmp_path / 'mine' / 'metrics.jsonl').read_text().split('\n')[0])
    assert first['train/loss'] < new['train/loss'] - 10
    line = rf"{tmp_path}/mine was trained .*atelier.load\('{tmp_path}/mine', build\)"
    with pytest.raises(UserError, match=line):
        door.load(tmp_path / 'mine')
    with pytest.raises(UserError, match=line):
        cli.parse(['main.py', '--mode=evaluate', f'--workdir={tmp_path}/mine'])
    settings.seed = 1
    with pytest.raises(UserError, match='seed .the run: 0, now: 1'):
        door.train(settings, independent_pixels, tmp_path / 'mine')


def test_a_run_keeps_its_own_copy_of_the_config(settings, tmp_path):
    """The caller may change its config for the next seed; the first run keeps its own."""
    first = door.train(settings, independent_pixels, tmp_path / '0')
    settings.seed = 1
    assert first.config.seed == 0
    assert door.evaluate(first)['seed'] == 0


@pytest.mark.slow
def test_the_weights_of_the_given_run_are_evaluated(folder):
    run = door.load(folder)
    zeros = jax.tree.map(jnp.zeros_like, run.state.ema)
    result = door.evaluate(run._replace(state=run.state.replace(ema=zeros), weights='none'))
    assert result['weights'] == 'none'
    assert result['values']['kl_nats']['mean'] == 0


def test_a_run_of_a_config_file_cannot_be_trained_from_python(folder, settings):
    with pytest.raises(UserError, match='is the run of configs/vae.py, not of Python'):
        door.train(settings, independent_pixels, folder)


@pytest.mark.slow
def test_examples_of_your_own_are_scored_and_encoded(folder, tmp_path, complaint):
    """An array, a path and a split; the data of the run are read for a split only."""
    run, split = door.load(folder), door.load(folder).run.data.read().splits['test']
    x = np.asarray(split['x'])[:20]
    np.savez(tmp_path / 'mine.npz', x=x)
    scores = door.score(run, x)
    assert {'log_prob_nats', 'half_squared_error'} < set(scores)
    assert repr(run.data) == "Dataset('digits', not read yet)"
    again = door.score(run, tmp_path / 'mine.npz')
    np.testing.assert_array_equal(scores['log_prob_nats'], again['log_prob_nats'])
    whole = door.score(run)['log_prob_nats']  # the noise of an example depends on its index alone
    np.testing.assert_allclose(whole[:20], scores['log_prob_nats'], rtol=1e-5)
    np.testing.assert_array_equal(whole, door.over_split(run, run.family.ability(LogProb)))
    assert door.embed(run, x).shape == (20, 2)
    assert door.reconstruct(run, x).shape == x.shape
    assert len(door.embed(run, split='valid')) == run.data.size('valid')
    assert 'has no class probabilities' in complaint(door.classify, run, x)
    assert 'the examples: x is' in complaint(door.score, run, x[..., 0])
    assert 'split' in complaint(door.score, run, split='tset')
