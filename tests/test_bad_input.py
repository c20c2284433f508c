"""Every mistake of the user's ends in one line that says what to do, and nothing is lost or left.

main.py itself is run for one mistake of every kind: the line, the exit status, no traceback. The
other mistakes are made in this process, where `UserError` is what main.py turns into that line.
A bug is no mistake of the user's: it keeps its traceback.
"""

import gzip
import json
import pathlib
import re
import shutil

import jax
import numpy as np
import pytest

import command_line
import run_folder
import states
import train_lib
from applications import sample
from datasets import dataset, digits
from datasets.dataset import Spec
from errors import UserError
from evaluation import evaluate

ROOT = run_folder.ROOT
CONFIG = f'--config={ROOT}/configs/vae.py'
DEBUG = f'{CONFIG}:debug'
STEPS = 10  # of the run `trained`


# What is asserted of every mistake


def error_line(result) -> str:
    """The one line that a mistake ends in, without 'error: '."""
    assert result.returncode == 1, result.stderr
    assert 'Traceback' not in result.stdout + result.stderr
    lines = result.stderr.rstrip('\n').split('\n')
    assert [line for line in lines if line.startswith('error: ')] == lines[-1:], result.stderr
    message = lines[-1].removeprefix('error: ')
    assert '\\n' not in message and "\\'" not in message, f'a quoted quotation: {message}'
    return message


def contents(folder: pathlib.Path) -> dict[str, bytes | None]:
    """Every file of a folder with what is in it, and every folder in it."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob('*')
    }


def dotted(name: str) -> str:
    """train__steps -> train.steps."""
    return name.replace('__', '.')


# Runs to make mistakes with


@pytest.fixture(scope='module', autouse=True)
def quick_compilation():
    """The compiled programs are slow, which does not matter here."""
    jax.config.update('jax_disable_most_optimizations', True)
    yield
    jax.config.update('jax_disable_most_optimizations', False)


def recipe_and_config(argument='debug', path=f'{ROOT}/configs/vae.py', **changes):
    which = run_folder.recipe(f'{path}:{argument}')
    config = which.config()
    with config.unlocked():
        config.update_from_flattened_dict({dotted(k): v for k, v in changes.items()})
    return which, config


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """The folder of a run of `STEPS` steps. Not to be changed."""
    folder = tmp_path_factory.mktemp('trained') / 'run'
    which, config = recipe_and_config(
        train__steps=STEPS, train__evaluate_every=STEPS, train__checkpoint_every=STEPS
    )
    train_lib.train(run_folder.assemble(folder, which, config), jax.devices()[:1])
    return folder


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of the run."""
    return pathlib.Path(shutil.copytree(trained, tmp_path / 'run'))


def opened(folder, **changes):
    """The run in `folder`, with other settings."""
    which, config = recipe_and_config()
    stored = run_folder.flatten(run_folder.load(folder)['values'])
    config.update_from_flattened_dict({**stored, **{dotted(k): v for k, v in changes.items()}})
    return run_folder.assemble(folder, which, config)


# Mistakes in the flags


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], '--config=configs/'),
        (['--config='], '--config=configs/'),
        ([CONFIG, '--config.train.stepz=3'], '(?i)stepz.*did you mean.*steps'),
        ([CONFIG, '--config.nope.x=3'], 'config.*nope'),
        ([CONFIG, '--config.train.steps=many'], r'train\.steps=many'),
        ([CONFIG, '--nonsense=3'], "flag.*'nonsense'"),
        ([CONFIG, 'stray'], "'stray' is not a flag"),
        (['--config=nothing.py'], 'no config file .*nothing.py'),
    ],
    ids=lambda value: ' '.join(value).split('/')[-1] or 'none' if isinstance(value, list) else '',
)
def test_a_mistake_in_the_flags(main, tmp_path, arguments, message):
    line = error_line(main(*arguments, cwd=tmp_path))
    assert re.search(message, line), line
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    ('argument', 'message'),
    [
        ('digitz', "'digitz' .did you mean 'digits'"),
        ('digits,debugg', "'debugg' .did you mean 'debug'"),
        ('digits,digits', 'one data set'),
    ],
)
def test_a_wrong_word_after_the_colon(argument, message):
    with pytest.raises(UserError, match=message):
        run_folder.recipe(f'configs/vae.py:{argument}').config()


@pytest.mark.parametrize(
    ('source', 'message'),
    [
        ('def get_config(argument=None): ...', 'is not a config: it has no build'),
        ('', 'no get_config and no build'),
    ],
)
def test_a_file_that_is_not_a_config(tmp_path, source, message):
    path = tmp_path / 'mine.py'
    path.write_text(source)
    with pytest.raises(UserError, match=message):
        run_folder.recipe(str(path)).config()


def test_help_names_every_config_and_every_mode(main):
    result = main('--help')
    assert (result.returncode, result.stderr) == (0, '')
    words = result.stdout.split()
    assert set(command_line.configs()) | set(command_line.modes()) <= set(words)
    assert 'configs/vae.py' in words
    assert 'common' not in result.stdout  # a base file is no config


# Mistakes in the values, found before anything is made


@pytest.mark.parametrize(
    ('argument', 'message'),
    [
        ('model.activation=rel', "config.model.activation is 'rel'.*'relu'"),
        ('train.batch_size=50', 'batch_size=50 is not divisible by the 4 devices'),
        ('train.best_metric=elbo', "config.train.best_metric is 'elbo'.*'elbo_nats'"),
        ('eval.batch_size=0', 'config.eval.batch_size=0'),
    ],
)
def test_a_refused_config_leaves_no_folder(main, tmp_path, argument, message):
    """Else the corrected command would be refused as that of another config."""
    flags = [DEBUG, '--config.train.batch_size=48', f'--config.{argument}']
    line = error_line(main(*flags, f'--workdir={tmp_path}/run', num_devices=4))
    assert re.search(message, line), line
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('train__steps', 0),
        ('train__steps', -1),
        ('train__batch_size', 0),
        ('train__batch_size', -5),
        ('train__batch_size', 1001),  # of 1,000 examples
        ('train__steps_per_dispatch', 0),
        ('train__log_every', 0),
        ('train__evaluate_every', 0),
        ('train__evaluate_every', -10),
        ('train__checkpoint_every', 0),
        ('train__best_mode', 'maxi'),
        ('eval__batch_size', 0),
        ('eval__batch_size', -5),
        ('eval__num_pictures', 0),
        ('eval__num_pictures', -1),
        ('eval__num_importance_samples', 0),
        ('eval__num_importance_samples', -2),
        ('eval__importance_chunk', -1),
        ('eval__weights', 'bst'),
        ('seed', 2**70),
    ],
)
def test_values_that_cannot_be_trained(tiny_run, monkeypatch, name, value):
    """They are refused before the first compilation, however late they would be needed."""

    def too_late(run):
        raise AssertionError(f'{name}={value} was not refused')

    monkeypatch.setattr(train_lib, 'initial_state', too_late)
    with pytest.raises(UserError, match=rf'{dotted(name)}\b.*{value}'):
        train_lib.train(tiny_run(**{name: value}), jax.devices()[:1])


@pytest.mark.parametrize(
    ('name', 'value', 'message'),
    [
        ('data__name', 'digitz', "'digitz'; choose one of 'digits'"),
        ('data__placement', 'host', "'host'; choose one of 'device'"),
        ('data__binarize', 'yes', "'yes'; choose one of 'none', 'threshold', 'stochastic'"),
        ('data__data_dir', '/nothing/here', 'no /nothing/here/digits.csv.gz'),
    ],
)
def test_data_that_there_are_not(name, value, message):
    _, config = recipe_and_config(**{name: value})
    with pytest.raises(UserError, match=message):
        dataset.load(config)


@pytest.mark.parametrize(
    ('name', 'value', 'message'),
    [
        ('model__observation', 'bernouli', "did you mean 'bernoulli'"),
        ('model__activation', 'rel', "did you mean 'relu'"),
        ('train__precision', 'float16', "choose one of 'float32', 'bfloat16'"),
        ('model__latent_dim', 0, 'latent_dim'),
        ('model__latent_dim', -1, 'latent_dim'),
        ('model__hidden_sizes', (0,), 'hidden_sizes'),
        ('model__hidden_sizes', ('(a,)',), 'hidden_sizes'),  # of --config...hidden_sizes=(a,)
    ],
)
def test_models_that_cannot_be_built(name, value, message):
    which, config = recipe_and_config(**{name: value})
    with pytest.raises(UserError, match=message):
        which.module().build(config, Spec((8, 8, 1), levels=17, num_classes=10))


def test_a_mixture_of_nothing():
    which, config = recipe_and_config(
        model__observation='discretized_logistic_mixture', model__mixture_components=0
    )
    with pytest.raises(UserError, match='mixture_components'):
        which.module().build(config, Spec((8, 8, 1), levels=17, num_classes=10))


@pytest.mark.parametrize(
    ('observation', 'levels', 'message'),
    [
        ('bernoulli', 17, 'needs data of 2 levels and these have 17 levels'),
        ('bernoulli', None, 'these have real values'),
        ('binomial', None, 'these have real values'),
        ('categorical', None, 'these have real values'),
        ('discretized_logistic_mixture', None, 'these have real values'),
        ('gaussian', 17, 'needs real-valued data and these have 17 levels'),
        ('gaussian', 2, 'needs real-valued data and these have 2 levels'),
    ],
)
def test_a_number_that_would_be_no_likelihood(observation, levels, message):
    which, config = recipe_and_config(model__observation=observation)
    with pytest.raises(UserError, match=f'observation.*{observation}.*{message}'):
        which.module().build(config, Spec((8, 8, 1), levels, num_classes=None))


def test_real_values_cannot_be_binarised():
    source = digits.load()
    real = source._replace(spec=source.spec._replace(levels=None))
    with pytest.raises(UserError, match='digits is real-valued'):
        dataset.binarized(real, 'threshold')


# Files of data that are not what they should be


def table(change=lambda rows: rows) -> bytes:
    """A file of digits, changed."""
    rows = np.zeros((1400, 65), np.int64)
    return gzip.compress('\n'.join(','.join(map(str, row)) for row in change(rows)).encode())


def with_pixel(value):
    def change(rows):
        rows[0, 5] = value
        return rows

    return change


def test_a_file_of_digits_is_read(tmp_path):
    (tmp_path / 'digits.csv.gz').write_bytes(table())
    assert digits.load(str(tmp_path)).size('test') == 50


@pytest.mark.parametrize(
    'raw',
    [
        pytest.param(b'rubbish', id='rubbish'),
        pytest.param(b'', id='empty'),
        pytest.param(gzip.compress(b'<html>'), id='a web page'),
        pytest.param(table()[:-20], id='cut short'),
        pytest.param(table()[:10] + b'\xff' * 50, id='damaged'),
        pytest.param(table(lambda rows: rows[:9]), id='too few'),
        pytest.param(table(lambda rows: rows[:, 1:]), id='without labels'),
        pytest.param(table(with_pixel(999)), id='no byte'),
        pytest.param(table(with_pixel(17)), id='17 of 0..16'),
    ],
)
@pytest.mark.filterwarnings('ignore:loadtxt')
def test_a_file_that_is_not_the_digits(tmp_path, raw):
    path = tmp_path / 'digits.csv.gz'
    path.write_bytes(raw)
    with pytest.raises(UserError, match=re.escape(str(path))):
        digits.load(str(tmp_path))
    assert path.read_bytes() == raw


# Folders: what is there stays as it is


def test_a_folder_that_cannot_be_made(main, tmp_path):
    (tmp_path / 'file').write_text('mine')
    line = error_line(main(DEBUG, f'--workdir={tmp_path}/file/run'))
    assert f'cannot write {tmp_path}/file/run' in line
    assert contents(tmp_path) == {'file': b'mine'}


@pytest.mark.parametrize('name', ['file', 'folder'])
def test_a_workdir_that_is_something_else(tmp_path, name):
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'folder' / 'thesis.tex').write_text('mine')
    (tmp_path / 'file').write_text('mine')
    before = contents(tmp_path)
    with pytest.raises(UserError, match=f'{name} exists and is not a run'):
        run_folder.check_same(tmp_path / name, *recipe_and_config())
    with pytest.raises(UserError, match=f'{name} is not a run: it has no config.json'):
        run_folder.load(tmp_path / name)
    assert contents(tmp_path) == before


def test_a_workdir_that_the_system_refuses(tmp_path):
    """Stands for a folder without permission too, from which root is not kept."""
    name = 'x' * 300
    with pytest.raises(UserError, match=name):
        run_folder.check_same(tmp_path / name, *recipe_and_config())
    with pytest.raises(UserError, match=name):
        run_folder.load(tmp_path / name)


def test_the_run_of_another_config(main, folder):
    before = contents(folder)
    changes = ['--config.model.latent_dim=3', f'--config.train.steps={STEPS}', '--config.seed=4']
    line = error_line(main(DEBUG, *changes, f'--workdir={folder}'))
    assert 'model.latent_dim (the run: 2, now: 3)' in line
    assert 'seed (the run: 0, now: 4)' in line
    assert 'train.steps' not in line
    assert contents(folder) == before


def test_the_run_of_another_file(folder, tmp_path):
    """The same values may mean another model."""
    other = tmp_path / 'other.py'
    other.write_text('from configs.vae import get_config\nbuild = None\n')
    which, _ = recipe_and_config(path=other)
    before = contents(folder)
    with pytest.raises(UserError, match='vae.py.*other.py|other.py.*vae.py'):
        run_folder.check_same(folder, which, opened(folder).config)
    assert contents(folder) == before


def test_a_run_evaluated_as_another(main, folder):
    before = contents(folder)
    line = error_line(main('--mode=evaluate', CONFIG, f'--workdir={folder}'))
    assert re.search(r'configs/vae\.py:debug', line), line
    assert contents(folder) == before


def test_fewer_steps_than_the_run_has(folder):
    before = contents(folder)
    with pytest.raises(UserError, match=r'train\.steps \(the run: 10, now: 5\)'):
        run_folder.check_same(folder, *recipe_and_config(train__steps=5))
    _, config = recipe_and_config(train__steps=5)
    values = run_folder.load(folder)['values']
    with pytest.raises(UserError, match=r'train\.steps'):
        run_folder.with_values(config, values, {'train.steps': 5}, ('eval.', 'train.steps'))
    assert contents(folder) == before


def test_what_belongs_to_the_run_cannot_be_changed_afterwards(main, folder):
    before = contents(folder)
    flags = ['--mode=evaluate', f'--workdir={folder}', '--config.model.latent_dim=3']
    line = error_line(main(*flags))
    assert '--config.model.latent_dim belongs to the run' in line
    assert contents(folder) == before


@pytest.mark.parametrize(
    'text',
    ['', '{"path": "configs/vae.py", "argu', '[]', '{}', '\0\0\0\0'],
    ids=['empty', 'truncated', 'list', 'without fields', 'zeros'],
)
def test_a_damaged_config_json(folder, text):
    (folder / 'config.json').write_text(text)
    before = contents(folder)
    with pytest.raises(UserError, match='config.json is damaged'):
        run_folder.load(folder)
    with pytest.raises(UserError, match='config.json is damaged'):
        run_folder.check_same(folder, *recipe_and_config())
    assert contents(folder) == before


# Evaluating and using what cannot be


def test_a_run_that_does_not_exist(main, tmp_path):
    line = error_line(main('--mode=evaluate', '--workdir=nothing', cwd=tmp_path))
    assert '--workdir=nothing does not exist' in line
    assert contents(tmp_path) == {}


@pytest.mark.parametrize('use', [evaluate.evaluate, sample.apply], ids=['evaluate', 'sample'])
@pytest.mark.parametrize('with_folder', [False, True])
def test_a_run_without_a_checkpoint(tiny_run, use, with_folder):
    run = tiny_run()
    run.folder.mkdir()
    run_folder.write_config(run)
    if with_folder:
        (run.folder / 'checkpoints').mkdir()
    before = contents(run.folder)
    with pytest.raises(UserError, match='has no checkpoint yet: train it first'):
        use(run)
    assert contents(run.folder) == before


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('eval__batch_size', 0),
        ('eval__batch_size', -1),
        ('eval__num_importance_samples', 0),
        ('eval__num_importance_samples', -2),
        ('eval__weights', 'bst'),
    ],
)
def test_values_that_cannot_be_evaluated(folder, name, value):
    before = contents(folder)
    with pytest.raises(UserError, match=rf'{dotted(name)}\b.*{value}'):
        evaluate.evaluate(opened(folder, **{name: value}))
    assert contents(folder) == before


@pytest.mark.parametrize(
    ('option', 'value'), [('num_samples', 0), ('num_samples', -3), ('seed', 2**70)]
)
def test_samples_that_cannot_be_drawn(folder, option, value):
    before = contents(folder)
    with pytest.raises(UserError, match=f'--{option}={value}'):
        sample.apply(opened(folder), **{option: value})
    assert contents(folder) == before


@pytest.mark.parametrize('empty', [True, False], ids=['empty', 'missing'])
def test_nothing_to_evaluate(folder, empty):
    run, before = opened(folder), contents(folder)
    splits = dict(run.data.splits)
    test = splits.pop('test')
    if empty:
        splits['test'] = {name: array[:0] for name, array in test.items()}
    with pytest.raises(UserError, match='no test examples: nothing to evaluate'):
        evaluate.evaluate(run._replace(data=run.data._replace(splits=splits)))
    assert contents(folder) == before


@pytest.mark.parametrize('text', ['{"data": {"na', '{}', '[]'])
def test_a_damaged_evaluation_is_made_again(folder, text):
    """Nothing in it is lost that the checkpoint does not give again."""
    (folder / 'evaluation.json').write_text(text)
    result = evaluate.evaluate(opened(folder), jax.devices()[:1], reuse=True)
    assert json.loads((folder / 'evaluation.json').read_text()) == result


def test_checkpoints_of_another_model_are_left_alone(folder):
    """As when the code of the model changed: the code may be changed back."""
    run = opened(folder)
    with run.config.unlocked():
        run.config.hypers.gamma = 1.0
    before = contents(folder)
    with pytest.raises(UserError, match='checkpoint'):
        states.load_state(run)
    assert contents(folder) == before


# A bug keeps its traceback

BUG_IN_GET_CONFIG = """
def get_config(argument=None):
    return 1 / 0

def build(config, spec): ...
"""
BUG_IN_BUILD = """
from configs.vae import get_config

def build(config, spec):
    return 1 / 0
"""


@pytest.mark.parametrize('source', [BUG_IN_GET_CONFIG, BUG_IN_BUILD], ids=['get_config', 'build'])
def test_a_bug_keeps_its_traceback(main, tmp_path, source):
    (tmp_path / 'mine.py').write_text(source)
    result = main('--config=mine.py:debug', cwd=tmp_path)
    assert result.returncode == 1
    assert 'Traceback' in result.stderr
    assert result.stderr.rstrip().endswith('ZeroDivisionError: division by zero')
    assert 'return 1 / 0' in result.stderr  # where it is
    assert 'error: ' not in re.sub(r'\w+Error: ', '', result.stderr)
