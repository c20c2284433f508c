"""Every user mistake ends in one line that says what to do; nothing is lost or left behind.

main.py itself is run once for each kind of mistake, to check the line, the exit status and that
there is no traceback. All other mistakes are made in this process, where `UserError` is the
exception that main.py turns into that line. A bug is not a user mistake: it keeps its traceback.
"""

import math
import re
import time

import jax
import pytest
from support import contents, dotted, error_line, recipe_and_config

import train_lib
from atelier import checkout, cli, cli_flags, cli_modes
from atelier.data import dataset, digits
from atelier.data.dataset import Spec
from atelier.errors import UserError

ROOT = checkout.ROOT
CONFIG = f'--config={ROOT}/configs/vae.py'
DEBUG = f'{CONFIG}:debug'


# Mistakes in the flags: each starts a process, so most run only with the slow tests

slow = lambda *values: pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], '--config=configs/'),
        ([CONFIG, '--config.train.stepz=3'], '(?i)stepz.*did you mean.*steps'),
        slow(['--config='], '--config=configs/'),
        slow([CONFIG, '--config.nope.x=3'], 'config.*nope'),
        slow([CONFIG, '--config.train.steps=many'], r'train\.steps=many'),
        slow([CONFIG, '--nonsense=3'], 'there is no flag --nonsense: --mode=train --help lists'),
        slow([CONFIG, 'stray'], "'stray' is not a flag"),
        slow(['--config=nothing.py'], 'no config file .*nothing.py'),
        slow(['--mode=evaluate', CONFIG, '--profile'], '--profile is for --mode=train'),
        slow(['--mode=compare', '--launcher_jobs=2'], '--launcher_jobs is for --mode=sweep'),
        slow(['--mode=compare', '--config=nonsense.py'], '--mode=compare takes no --config'),
    ],
    ids=lambda value: ' '.join(value).split('/')[-1] or 'none' if isinstance(value, list) else '',
)
def test_a_mistake_in_the_flags_is_one_line(main, tmp_path, arguments, message):
    line = error_line(main(*arguments, cwd=tmp_path))
    assert re.search(message, line), line
    assert contents(tmp_path) == {}


@pytest.mark.slow
def test_a_line_break_in_the_name_of_a_picture_is_escaped(main, tmp_path):
    """The console prints one line, which the name cannot forge."""
    (tmp_path / 'pictures').mkdir()
    (tmp_path / 'pictures' / 'a\nerror: forged\x1b[2J.png').write_bytes(b'rubbish')
    config = f'--config={ROOT}/configs/conv_vae.py:folder,debug'
    result = main(config, '--config.data.path=pictures', cwd=tmp_path, XDG_CACHE_HOME=str(tmp_path))
    assert result.returncode == 1
    errors = [line for line in result.stderr.splitlines() if line.startswith('error: ')]
    assert len(errors) == 1 and r'a\nerror: forged\x1b[2J.png is not an image' in errors[0]
    assert '\x1b' not in result.stderr + result.stdout


@pytest.mark.slow
def test_a_data_set_that_does_not_exist(main, tmp_path):
    """The error comes within seconds, with or without a network."""
    began = time.monotonic()
    line = error_line(main(f'{CONFIG}:digitz', cwd=tmp_path, TFDS_DATA_DIR=str(tmp_path)))
    assert time.monotonic() - began < 20
    assert re.search("'digitz' is not a source.*did you mean 'digits'", line), line
    assert contents(tmp_path) == {}


@pytest.mark.parametrize('flags', [['--config={}:debug'], ['-config', '{}:debug']])
@pytest.mark.parametrize('position', [0, 1, 2])
def test_flags_may_be_in_any_order(flags, position):
    others = ['--config.train.steps=3', '--workdir=x']
    flags = [flag.format(f'{ROOT}/configs/vae.py') for flag in flags]
    command = cli.parse(['main.py', *others[:position], *flags, *others[position:]])
    assert str(command.config_file) == 'configs/vae.py:debug'
    assert command.overrides == {'train.steps': 3}
    assert command.config.train.steps == 3
    assert command.values.workdir == 'x'


@pytest.mark.slow
def test_the_config_may_follow_its_fields(main, tmp_path):
    """The training loop refuses the last field, so the config file and both fields were read."""
    fields = ['--config.train.batch_size=40', '--config.train.steps=0']
    line = error_line(main(*fields, f'{CONFIG}:debug', cwd=tmp_path))
    assert 'config.train.steps=0: it must be a finite number, at least 1' in line


def test_an_unknown_variant_after_the_colon_is_refused():
    with pytest.raises(UserError, match="not digits and debugg .did you mean 'debug'"):
        checkout.config_file('configs/vae.py:digits,debugg').config()


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
        checkout.config_file(str(path)).config()


def test_help_names_every_config_and_every_mode(main):
    """Help has one line for each, short enough for a terminal."""
    result = main('--help')
    assert (result.returncode, result.stderr) == (0, '')
    tokens = result.stdout.split()
    assert set(checkout.configs()) | set(cli_flags.modes()) <= set(tokens)
    assert max(map(len, result.stdout.split('\n'))) <= 100
    assert 'configs/vae.py' in tokens
    assert 'common' not in result.stdout  # shared base files are not configs


LONG = 'x' * 5000


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([DEBUG, '--config.hypers={}'], '--config.hypers replaces all its fields and leaves out'),
        (
            [DEBUG, '--config.model.latent_dim=1' + '0' * 20],
            'latent_dim=1.*: give a whole number below',
        ),
        (
            [DEBUG, '--config.model.hidden_sizes=(a,b)'],
            r'hidden_sizes=\(a,b\): give whole numbers with',
        ),
        ([DEBUG, f'--config.data.path={LONG}'], '--config.data.path=.*: give a text of at most'),
        ([DEBUG, '--config.data.path=a\0b'], '--config.data.path=a.b: give a text of at most'),
        ([f'--config={ROOT}/README.md'], 'README.md is not a Python file'),
        ([f'--config={ROOT}/main.py'], 'main.py is not a config'),
        ([f'--config={LONG}'], 'too long for a path'),
        (['--config=a\0b'], 'zero byte'),
        ([f'--mode={LONG}.py'], 'too long for a path'),
        ([f'--workdir={LONG}'], 'too long for a path'),
        ([DEBUG, f'--trust={LONG}'], 'too long for a path'),
        ([DEBUG, '--trust=nothing.py'], '--trust=nothing.py: there is no such file'),
    ],
)
def test_flag_values_that_no_command_can_use_are_refused(monkeypatch, arguments, message):
    """Values of any length and type are refused in one line while the flags are parsed."""
    monkeypatch.setattr(checkout, '_trusted', set())
    with pytest.raises(UserError, match=message):
        cli.parse(['main.py', *arguments])


@pytest.mark.parametrize(
    'error', [MemoryError(), RuntimeError('RESOURCE_EXHAUSTED: Out of memory allocating 1 byte')]
)
def test_full_memory_is_one_line_and_other_errors_keep_their_traceback(monkeypatch, error):
    """XLA raises a RuntimeError; every other RuntimeError keeps its traceback."""
    command = cli.parse(['main.py', DEBUG])

    def fail(command):
        raise error

    monkeypatch.setattr(cli_modes, '_perform', fail)
    with pytest.raises(UserError, match='memory is full .*smaller'):
        cli_modes.perform(command)
    error = RuntimeError('a bug')
    with pytest.raises(RuntimeError, match='a bug'):
        cli_modes.perform(command)


# Mistakes in the values, found before anything is written


@pytest.mark.parametrize(
    ('argument', 'message'),
    [
        ('model.activation=rel', "config.model.activation is 'rel'.*'relu'"),
        slow('train.batch_size=50', 'batch_size=50 is not divisible by the 4 devices'),
        slow('train.best_metric=elbo', "config.train.best_metric is 'elbo'.*'elbo_nats'"),
        slow('eval.batch_size=0', 'config.eval.batch_size=0'),
    ],
)
def test_a_refused_config_leaves_no_folder(main, tmp_path, argument, message):
    """Otherwise the corrected command would be refused because its config differs."""
    flags = [DEBUG, '--config.train.batch_size=48', f'--config.{argument}']
    line = error_line(main(*flags, f'--workdir={tmp_path}/run', num_devices=4))
    assert re.search(message, line), line
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('train__steps', 0),
        ('train__steps', -1),
        ('train__batch_size', -5),
        ('train__batch_size', 1001),  # the training split has 1,000 examples
        ('train__steps_per_dispatch', 0),
        ('train__log_every', 0),
        ('train__evaluate_every', 0),
        ('train__evaluate_every', -10),
        ('train__checkpoint_every', 0),
        ('train__best_mode', 'maxi'),
        ('train__optimizer', 'sgd'),
        ('data__placement', 'host'),
        ('eval__batch_size', 0),
        ('eval__batch_size', -5),
        ('eval__num_pictures', 0),
        ('eval__num_pictures', -1),
        ('eval__num_pictures', 2**31 - 1),
        ('eval__num_importance_samples', 0),
        ('eval__num_importance_samples', -2),
        ('eval__importance_chunk', -1),
        ('eval__weights', 'bst'),
        ('seed', 2**70),
        ('hypers__learning_rate', math.nan),
        ('hypers__decay_steps', math.inf),
        ('hypers__ema_half_life', -1.0),
        ('hypers__adam_beta2', 1.0),
        ('hypers__warmup_steps', 1000),
    ],
)
def test_values_that_cannot_be_trained_are_refused(tiny_run, monkeypatch, name, value):
    """They are refused before the first compilation, even if training needs them only later."""

    def too_late(run):
        raise AssertionError(f'{name}={value} was not refused')

    monkeypatch.setattr(train_lib, 'Start', too_late)
    with pytest.raises(UserError, match=rf'{dotted(name)}\b.*{value}'):
        train_lib.train(tiny_run(**{name: value}), jax.devices()[:1])


@pytest.mark.parametrize(
    ('name', 'value', 'message'),
    [
        ('data__name', 'digitz', "'digitz' is not a source.*did you mean 'digits'"),
        ('data__binarize', 'yes', "'yes'; choose one of 'none', 'threshold', 'stochastic'"),
        ('data__data_dir', '/nothing/here', 'no /nothing/here/digits.csv.gz'),
    ],
)
def test_unknown_data_are_refused(name, value, message):
    _, config = recipe_and_config(**{name: value})
    with pytest.raises(UserError, match=message):
        dataset.load(config)


@pytest.mark.parametrize(
    ('name', 'value', 'message'),
    [
        ('model__observation', 'bernouli', "did you mean 'bernoulli'"),
        ('model__activation', 'rel', "did you mean 'relu'"),
        (
            'train__precision',
            'float16',
            "choose one of 'float32', 'full_float32', 'tf32', 'bfloat16'",
        ),
        ('model__latent_dim', 0, 'latent_dim'),
        ('model__latent_dim', -1, 'latent_dim'),
        ('model__hidden_sizes', (0,), 'hidden_sizes'),
        ('model__hidden_sizes', ('(a,)',), 'hidden_sizes'),  # from --config...hidden_sizes=(a,)
    ],
)
def test_models_that_cannot_be_built_are_refused(name, value, message):
    config_file, config = recipe_and_config(**{name: value})
    with pytest.raises(UserError, match=message):
        config_file.module().build(config, Spec((8, 8, 1), levels=17, num_classes=10))


def test_a_mixture_without_components_is_refused():
    config_file, config = recipe_and_config(
        model__observation='discretized_logistic_mixture', model__mixture_components=0
    )
    with pytest.raises(UserError, match='mixture_components'):
        config_file.module().build(config, Spec((8, 8, 1), levels=17, num_classes=10))


@pytest.mark.parametrize(
    ('observation', 'levels', 'message'),
    [
        (
            'bernoulli',
            17,
            'needs data with 2 levels, but the data have 17 levels: .*binarize=threshold',
        ),
        ('bernoulli', None, 'the data have real values: choose another observation$'),
        ('binomial', None, 'the data have real values'),
        ('categorical', None, 'the data have real values'),
        ('discretized_logistic_mixture', None, 'the data have real values'),
        ('gaussian', 17, 'needs real-valued data, but the data have 17 levels'),
        ('gaussian', 2, 'needs real-valued data, but the data have 2 levels'),
    ],
)
def test_an_observation_model_that_does_not_fit_the_data_is_refused(observation, levels, message):
    config_file, config = recipe_and_config(model__observation=observation)
    with pytest.raises(UserError, match=f'observation.*{observation}.*{message}'):
        config_file.module().build(config, Spec((8, 8, 1), levels, num_classes=None))


def test_real_values_cannot_be_binarised():
    source = digits.load()
    real = source._replace(spec=source.spec._replace(levels=None))
    with pytest.raises(UserError, match='digits is real-valued'):
        dataset.binarized(real, 'threshold')


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


@pytest.mark.parametrize(
    'source', [slow(BUG_IN_GET_CONFIG), BUG_IN_BUILD], ids=['get_config', 'build']
)
def test_a_bug_keeps_its_traceback(main, tmp_path, source):
    (tmp_path / 'mine.py').write_text(source)
    result = main('--config=mine.py:debug', cwd=tmp_path)
    assert result.returncode == 1
    assert 'Traceback' in result.stderr
    assert result.stderr.rstrip().endswith('ZeroDivisionError: division by zero')
    assert 'return 1 / 0' in result.stderr  # the failing line
    assert 'error: ' not in re.sub(r'\w+Error: ', '', result.stderr)
