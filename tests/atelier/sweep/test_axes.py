"""The meaning of --sweep=FIELD=VALUES, and the settings that the axes give."""

import itertools
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.errors import UserError
from atelier.sweep import axes as axes_lib
from atelier.sweep.axes import Axis, Range, folder_names, parse, settings

VALUES = {
    'seed': 0,
    'hypers.beta': 1.0,
    'hypers.learning_rate': 1e-3,
    'model.hidden_sizes': [400, 400],
    'model.activation': 'relu',
    'model.latent_dim': 16,
    'model.tied': False,
}


@pytest.mark.parametrize(
    ('text', 'values'),
    [
        ('hypers.beta=0.5,1,2', (0.5, 1.0, 2.0)),
        ('seed=0:4', (0, 1, 2, 3)),
        ('seed=1:10:4', (1, 5, 9)),
        ('seed=7', (7,)),
        ('model.hidden_sizes=(64,),(256, 256)', ((64,), (256, 256))),
        ('model.activation=relu,silu', ('relu', 'silu')),
        ('model.tied=true,False', (True, False)),
        ('hypers.learning_rate=log:1e-4:1e-2', Range(1e-4, 1e-2, True, False)),
        ('hypers.beta=uniform:-1:4', Range(-1.0, 4.0, False, False)),
        ('model.latent_dim=log:2:64', Range(2.0, 64.0, True, True)),
    ],
)
def test_an_axis(text, values):
    axis = parse(text, VALUES)
    assert axis == Axis(text.partition('=')[0], values)
    assert not isinstance(values, tuple) or list(map(type, axis.values)) == list(map(type, values))


@pytest.mark.parametrize(
    ('text', 'pattern'),
    [
        ('hypers.beta', 'write FIELD=VALUES'),
        ('hypers.beta=', 'write FIELD=VALUES'),
        ('hypers.bta=1', "no field 'hypers.bta' .did you mean 'hypers.beta'"),
        ('hypers=1', "no field 'hypers'"),
        ('beta=1', "no field 'beta' .did you mean 'hypers.beta'"),
        ('seed=0.5', "'0.5' is not a whole number"),
        ('seed=4:0', 'no whole numbers in 4:0'),
        ('seed=0:4:0', 'no whole numbers'),
        ('seed=0:x', "'x' is not a whole number"),
        ('seed=1,2,1', '1 appears twice'),
        ('hypers.beta=1,two', "'two' is not a number"),
        ('hypers.beta=nan', "'nan' is not a number"),
        ('hypers.beta=1,,2', "'' is not a number"),
        ('model.hidden_sizes=64', "'64' is not a tuple"),
        ('model.hidden_sizes=(64', 'is not a tuple'),
        ('model.tied=yes', 'true or false'),
        ('hypers.beta=log:0:1', 'above 0 for log'),
        ('hypers.beta=uniform:2:1', 'LOW must be below HIGH'),
        ('hypers.beta=log:1', 'write a range as log:LOW:HIGH'),
        ('model.activation=uniform:0:1', 'only a numeric field can have a range'),
    ],
)
def test_invalid_axes_are_refused(complaint, text, pattern):
    message = complaint(parse, text, VALUES)
    assert f'--sweep={text}' in message
    assert re.search(pattern, message), message


@pytest.mark.parametrize('text', ['{}', '{}=1', 'seed={}', 'seed=0:{}', 'hypers.beta=log:{}'])
def test_a_long_axis_is_shortened_in_its_message(complaint, text):
    """A line of the terminal is readable."""
    assert len(complaint(parse, text.format('x,' * 50_000), VALUES)) < 500


def test_the_product_in_the_order_of_the_axes():
    axes = [parse('hypers.beta=1,2', VALUES), parse('seed=0:3', VALUES)]
    expected = [
        {'hypers.beta': beta, 'seed': seed} for beta, seed in itertools.product((1, 2), range(3))
    ]
    assert settings(axes, 0, 0) == expected


def drawn(count, seed=0, *more):
    texts = ('hypers.learning_rate=log:1e-4:1e-2', 'hypers.beta=uniform:0.5:4', *more)
    return settings([parse(text, VALUES) for text in texts], count, seed)


def test_draws_lie_in_their_range_and_are_repeated_for_every_seed():
    draws = drawn(200, 0, 'seed=0:2')
    assert len(draws) == 400
    rates = [setting['hypers.learning_rate'] for setting in draws]
    assert all(1e-4 <= rate <= 1e-2 for rate in rates)
    assert 0.35 < sum(rate < 1e-3 for rate in rates) / 400 < 0.65  # half in log space
    betas = [setting['hypers.beta'] for setting in draws]
    assert 0.35 < sum(beta < 2.25 for beta in betas) / 400 < 0.65
    assert len({*rates}) > 150
    pairs = {(s['hypers.learning_rate'], s['hypers.beta']) for s in draws}
    assert all(
        sum((s['hypers.learning_rate'], s['hypers.beta']) == p for s in draws) == 2 for p in pairs
    )


def test_integers_are_equally_likely_and_settings_unique():
    axis = [parse('model.latent_dim=uniform:2:4', VALUES)]
    counted = [s['model.latent_dim'] for seed in range(600) for s in settings(axis, 1, seed)]
    shares = [counted.count(value) / 600 for value in (2, 3, 4)]
    assert sum(shares) == pytest.approx(1) and all(0.27 < share < 0.4 for share in shares)
    below = [parse('model.latent_dim=uniform:-2:1', VALUES)]
    signed = [s['model.latent_dim'] for seed in range(600) for s in settings(below, 1, seed)]
    assert all(0.19 < signed.count(value) / 600 < 0.31 for value in (-2, -1, 0, 1))
    both = [*axis, parse('seed=0:2', VALUES)]
    combinations = [tuple(setting.items()) for setting in settings(both, 50, 0)]
    assert len(combinations) == len({*combinations}) == 6


def test_a_draw_depends_on_its_index_and_the_seed_alone():
    assert drawn(5) == drawn(9)[:5]
    assert drawn(5, 0) != drawn(5, 1)


@pytest.mark.parametrize(
    ('texts', 'count', 'pattern'),
    [
        (['seed=0:2', 'seed=4:6'], 0, 'seed is on two axes'),
        (['seed=0:2'], 3, 'no axis is a range to draw from: give one'),
        (
            ['hypers.beta=log:1:2'],
            0,
            '--sweep=hypers.beta=log:1:2 is a range: add --sweep_random=N',
        ),
        (['hypers.beta=log:1:2'], -1, 'give the number of draws'),
    ],
)
def test_invalid_sweeps_are_refused(complaint, texts, count, pattern):
    axes = [parse(text, VALUES) for text in texts]
    assert pattern in complaint(settings, axes, count, 0)


def test_folder_names_contain_the_setting():
    combinations = settings([parse('hypers.beta=0.5,1e-5', VALUES), parse('seed=3', VALUES)], 0, 0)
    assert folder_names(combinations) == ['beta-0.5_seed-3', 'beta-1e-05_seed-3']
    shapes = settings([parse('model.hidden_sizes=(64,),(32,8),()', VALUES)], 0, 0)
    assert folder_names(shapes) == ['hidden_sizes-64', 'hidden_sizes-32x8', 'hidden_sizes-none']


def test_paths_are_absolute(complaint, tmp_path, monkeypatch):
    """Of fields that hold paths, also in lists; names of folders begin below the common one."""
    folder = tmp_path / 'a'
    folder.mkdir()
    monkeypatch.chdir(folder)
    values = {'data.path': '', 'eval.classifier': '', 'data.more_path': (), 'data.name': 'a'}
    absolute = lambda text: axes_lib.with_absolute_paths(text, values)
    for field in ('data.path', 'eval.classifier'):
        text = absolute(f'{field}=x.npz,b/y.npz')
        assert text == f'{field}={folder}/x.npz,{folder}/b/y.npz' == absolute(text)
        settings = [{field: value} for value in parse(text, values).values]
        short = field.rpartition('.')[2]
        assert folder_names(settings) == [f'{short}-x.npz', f'{short}-b-y.npz']
    text = absolute("data.more_path=('x', 'y'),('z',)")
    assert parse(text, values).values == ((f'{folder}/x', f'{folder}/y'), (f'{folder}/z',))
    assert absolute('data.name=x.npz') == 'data.name=x.npz'
    assert absolute('data.path') == 'data.path'  # `parse` refuses it
    (tmp_path / 'b,c').mkdir()
    monkeypatch.chdir(tmp_path / 'b,c')
    assert 'commas and brackets divide values' in complaint(absolute, 'data.path=x.npz')


def test_folder_names_distinguish_fields_of_one_name():
    (name,) = folder_names([{'hypers.corruption': 1.0, 'eval.corruption': 2.0}])
    assert name == 'hypers.corruption-1.0_eval.corruption-2.0'


@given(st.lists(st.text(min_size=1), min_size=1, max_size=12, unique=True))
def test_folder_names_are_valid_and_unique(activations):
    names = folder_names([{'model.activation': activation} for activation in activations])
    assert len({*names}) == len(activations)
    assert all('/' not in name and ',' not in name and len(name) < 200 for name in names)


def test_log_uniform_integers_are_integers():
    draws = settings([parse('model.latent_dim=log:2:64', VALUES)], 50, 0)
    dims = [setting['model.latent_dim'] for setting in draws]
    assert all(type(dim) is int and 2 <= dim <= 64 for dim in dims)
    assert math.log(max(dims)) - math.log(min(dims)) > 2


@pytest.mark.parametrize(
    ('texts', 'num_random', 'message'),
    [
        (['seed=0:99999999999'], 0, '99,999,999,999 runs, and a sweep has at most 10,000'),
        (['seed=0:9223372036854775807000'], 0, 'at most 10,000'),
        (['seed=9999999999:0:-1'], 0, 'at most 10,000'),
        (['seed=0:5000', 'hypers.beta=1,2,3'], 0, '--sweep: 15,000 runs'),
        (['hypers.beta=uniform:0:1'], 10**12, '1,000,000,000,000 runs'),
        (['model.hidden_sizes=' + '(' * 3000], 0, 'is not a tuple'),
    ],
)
def test_a_sweep_of_too_many_runs_is_refused_before_they_are_listed(texts, num_random, message):
    """A range of 10**11 seeds is a mistake; a list of them would fill the memory."""
    with pytest.raises(UserError, match=message):
        settings([parse(text, VALUES) for text in texts], num_random, 0)
