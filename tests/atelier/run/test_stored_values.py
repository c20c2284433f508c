"""config.json and sweep.json of a stranger: any value in any field is used unchanged or refused."""

import json
import pathlib
import sys

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from support import recipe_and_config

from atelier import checkout, files
from atelier.data import dataset
from atelier.errors import UserError
from atelier.run import data_record, run_folder, stored_values
from atelier.sweep import folder as sweep_folder

SCALARS = [None, False, True, 0, -1, 2**31, 2**64, 10**400, 0.5, 1e308, '', 'x', 'x' * 5000]
LEAVES = st.sampled_from([*SCALARS, 'a\0b', '\ud800', '../../etc', 'main.py', float('nan')])
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(['', 'a.b', 'x', '__class__', 'a\n']), inner, max_size=2)
    ),
    max_leaves=4,
)


def a_record():
    """Returns the content of the config.json of a debug VAE."""
    config_file, config = recipe_and_config()
    values = run_folder.with_absolute_paths(config.to_dict())
    data = dataset.load(config)
    others = dict(init_from=None, devices=1, source='', git='unknown', data=data.fingerprint())
    others |= data_record.recorded_fields(data)
    return json.loads(json.dumps({**config_file._asdict(), **others, 'values': values}))


RECORD = a_record()


def positions(content, prefix=()):
    """Yields the path of every value in nested dictionaries."""
    for name, value in content.items():
        yield (*prefix, name)
        if isinstance(value, dict):
            yield from positions(value, (*prefix, name))


def changed(record, position, value):
    """Returns a copy of `record` with another value at a position."""
    record = json.loads(json.dumps(record))
    *path, last = position
    group = record
    for part in path:
        group = group[part]
    group[last] = value
    return record


def config_of(folder):
    """Returns the config with which the run in `folder` would be opened."""
    record = run_folder.load(folder)
    config_file = checkout.recorded(record, folder)
    if not config_file.path:
        return None
    config = config_file.config()
    values = record['values']
    run_folder.with_values(config, values, {}, ('eval.',), folder / 'config.json')
    return config


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder for config.json, which each example of a test overwrites."""
    return tmp_path_factory.mktemp('stranger')


@settings(max_examples=150)
@given(position=st.sampled_from(list(positions(RECORD))), value=VALUES)
def test_any_value_has_the_type_of_its_field_or_is_refused(folder, position, value):
    """No other exception is raised, and an accepted value has the type of the default."""
    (folder / 'config.json').write_text(json.dumps(changed(RECORD, position, value)))
    try:
        config = config_of(folder)
    except UserError as error:
        assert len(str(error)) < 12_000
        return
    if config is not None and position[0] == 'values' and len(position) == 3:
        default = recipe_and_config()[1][position[1]][position[2]]
        now = config[position[1]][position[2]]
        assert type(now) is type(default) or {type(now), type(default)} == {int, float}


@pytest.mark.parametrize(
    ('position', 'value', 'message'),
    [
        ('path', 17, 'path is 17'),
        ('path', [1], r'path is \[1\]'),
        ('path', 'main.py', 'not in configs/'),
        ('path', 'README.md', 'which is no config file'),
        ('path', 'configs/shared/common.py', 'not in configs/'),
        ('path', 'x' * 5000, 'path is'),
        ('source', 3, 'source is 3'),
        ('argument', ['digits'], 'argument is'),
        ('argument', 'x' * 4000, 'argument is'),
        ('init_from', {}, 'init_from is'),
        ('devices', 'x', 'devices is'),
        ('data', {'x': 3}, 'data is'),
        ('values', None, 'values is None'),
        ('values.data.without_classes', None, 'config.data.without_classes is None, not a list'),
        ('values.eval.batch_size', False, 'config.eval.batch_size is False, not a whole number'),
        ('values.eval.num_pictures', 2**64, 'config.eval.num_pictures is 1844'),
        ('values.eval.weights', ['best'], 'config.eval.weights is'),
        ('values.seed', True, 'config.seed is True'),
        ('values.hypers.beta', '1', "config.hypers.beta is '1', not a finite number"),
        ('values.hypers.beta', float('inf'), 'Infinity is not JSON'),
        ('values.model.latent_dim', {}, 'config.model.latent_dim is {}, not a whole number'),
        ('values.model.hidden_sizes', [64, '64'], 'config.model.hidden_sizes is .* not a list'),
        ('values.model', [], r'config.model is \[\]'),
        ('values.eval.a.b', 3, "config.eval. has a field named 'a.b'"),
    ],
)
def test_an_error_names_the_wrong_value(folder, position, value, message):
    """The line names the field, its value and the required type or range."""
    path = tuple(position.split('.', 2))
    (folder / 'config.json').write_text(json.dumps(changed(RECORD, path, value)))
    with pytest.raises(UserError, match=message):
        config_of(folder)


def test_an_integer_is_accepted_for_a_float(folder):
    """Runs of a config that was typed as --config.hypers.beta=2 load."""
    changed_record = changed(RECORD, ('values', 'hypers', 'beta'), 2)
    (folder / 'config.json').write_text(json.dumps(changed_record))
    assert config_of(folder).hypers.beta == 2.0


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('[' * 10_000, 'nested too deeply'),
        ('{"a":' * 50 + '1' + '}' * 50, 'nested more than'),
        ('{"a": 1' + '0' * 5000 + '}', 'is damaged'),
        ('{"a": NaN}', 'NaN is not JSON'),
        ('"text"', 'holds no object'),
        (b'{"a": "\xff"}', 'is damaged'),
        (' ' * (files.MAX_BYTES + 1), 'larger than'),
    ],
    ids=lambda value: '' if len(value) > 100 else None,
)
def test_a_file_that_no_run_writes_is_refused(tmp_path, text, message):
    """Sizes and depths are bounded before the content is used."""
    path = tmp_path / 'config.json'
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=message):
        stored_values.read(path)
    with pytest.raises(UserError, match='config.json is damaged'):
        run_folder.load(tmp_path)


@settings(max_examples=50)
@given(
    position=st.sampled_from(['path', 'argument', 'axes', 'num_random', 'init_from', 'values']),
    value=VALUES,
)
def test_a_sweep_of_a_stranger_is_read_or_refused(folder, position, value):
    """The fields of sweep.json have their types."""
    record = {'axes': ['seed=0:2'], 'num_random': 0, **RECORD}
    (folder / 'sweep.json').write_text(json.dumps({**record, position: value}))
    try:
        read = sweep_folder.load(folder)
    except UserError:
        return
    assert type(read['num_random']) is int and all(type(axis) is str for axis in read['axes'])


def test_the_largest_integers_and_floats_are_accepted():
    """Only the number types themselves limit the values."""
    like = {'a': 1, 'b': 1.0, 'c': 'x', 'd': (1, 2), 'e': (), 'f': None, 'g': {'h': True}}
    stored = {'a': 2**62, 'b': sys.float_info.max, 'c': '', 'd': [], 'e': [1, 'x'], 'f': 3}
    stored_values.check_kinds(
        pathlib.Path('config.json'), {**stored, 'g': {'h': False, 'new': 1}}, like
    )
