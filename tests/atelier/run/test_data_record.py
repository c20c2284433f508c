"""What config.json records of data is read again, and refused if it cannot be right."""

import copy
import json
import pathlib

import jax
import numpy as np
import pytest
from config_variants import with_own_build
from support import assembled

from atelier.core import devices
from atelier.data import dataset
from atelier.data.dataset import Dataset, Spec
from atelier.data.items import are_items
from atelier.errors import UserError
from atelier.run import data_record, restore

PATH = pathlib.Path('run/config.json')


def record_of(data: Dataset, values=None) -> dict:
    """The record as it stands in the file."""
    fields = json.loads(json.dumps(data_record.recorded_fields(data)))
    stored = {'data': {'name': data.name, **(values or {})}}
    return {**fields, 'values': stored, 'data': data.fingerprint()}


def unread():
    raise AssertionError('the data were read')


def of(spec, **arrays) -> Dataset:
    split = {name: np.asarray(array) for name, array in arrays.items()}
    name = 'lines' if are_items(spec) else 'arrays' if spec.symbols is None else 'text'
    return Dataset(name, spec, {'train': split}, '')


LABELLED = of(Spec((2, 2), 3, 4, left_out=(1,)), x=np.zeros((5, 2, 2), np.uint8), label=np.zeros(5))

ANY = {'classes': 'trained'}


@pytest.mark.parametrize(
    ('data', 'values'),
    [
        (LABELLED, {'without_classes': [1]}),
        (LABELLED._replace(spec=LABELLED.spec._replace(class_names=('a', '\n', 'c', 'd'))), ANY),
        (of(Spec((2,), None, None, None, (0.1, -1 / 3), (1e-20, 2.0)), x=np.zeros((5, 2))), {}),
        (of(Spec((2, 2), 3, None, background=(0.5,)), x=np.zeros((5, 2, 2), np.uint8)), {}),
        (of(Spec((), None, None, 7, 0.1, 3.0), x=np.zeros(5)), {'dequantize': 'uniform'}),
        (of(Spec((2,), 3, None, symbols='a\n\U0001f600'), x=np.zeros((9, 2))), {}),
        (
            of(Spec((2,), 2, None, symbols='ab'), x=np.zeros((9, 7)), num_scored=np.zeros(9)),
            {'num_pieces': 9},
        ),
        (of(Spec((3,), 3, None, symbols='\0ab'), x=np.zeros((9, 3))), {}),
        (of(Spec((3,), 3, 2, symbols='\0ab'), x=np.zeros((9, 3)), label=np.zeros(9)), ANY),
        (of(Spec((3,), 3, None, symbols='\0ab'), x=np.zeros((9, 7))), {'is_packed': True}),
        (
            of(Spec((3,), 3, None, symbols='\0ab'), x=np.zeros((9, 7))),
            {'is_packed': True, 'num_pieces': 9},
        ),
    ],
)
def test_the_record_of_data_is_read_again(data, values):
    """All of the Spec, bit for bit."""
    recorded = data_record.read(PATH, record_of(data, values))
    assert recorded.spec == data.spec and recorded.name == data.name
    stood_for = data_record.stand_in_for(PATH, recorded, unread)
    assert stood_for.size('train') == data.size('train')
    assert {name: array.shape for name, array in recorded.shapes.items()} == {
        name: array.shape for name, array in data.splits['train'].items()
    }


def test_a_run_of_an_earlier_version_has_none():
    record = {**record_of(LABELLED), **dict.fromkeys(data_record.FIELDS)}
    assert data_record.read(PATH, record) is None


def test_what_would_not_fit_into_the_file_is_not_recorded():
    columns = tuple(range(100_000))
    table = of(Spec((len(columns),), None, None, None, columns, columns), x=np.zeros((1, 10**5)))
    assert data_record.recorded_fields(table) == dict.fromkeys(data_record.FIELDS)


SPECS = {
    'event_shape': [None, 3, [], [2], [2, 0], [2, -2], [2, 2.0], [2, True], [2] * 9, [2**31, 2]],
    'levels': [0, -1, 2.0, True, '3', 2**40, 10**400],
    'num_classes': [0, 2, '4', [4], 2**40, None],
    'dequantized_levels': [0, 1.5, 'a'],
    'mean': [None, 'a', [0.0], [[0.0]], True, float('inf'), 10**400],
    'std': [0, 0.0, -1, None, [1.0, 1.0, 1.0], []],
    'class_names': [None, 'abcd', ['a'], ['a', 'a', 'b', 'c'], ['a', 'b', 'c', ''], [1, 2, 3, 4]],
    'left_out': [None, [4], [-1], ['1'], [], 1],
    'symbols': [1, 'aa', 'a', 'abc', 'ab\ud800'],
    'chiral': [0, None, 'yes'],
    'background': [0.5, [], [0.5, 0.5], [1.5], [-0.1], [[0.0]], ['0'], [float('nan')], True],
    'other': [1],
}
SHAPES = [None, [], {}, {'label': {'shape': [5], 'dtype': 'uint8'}}, {'x': None}, {'x': [5, 2, 2]}]
ARRAYS = {
    'x': [
        *({'shape': [4, 2, 2], 'dtype': 'uint8'}, {'shape': [5, 2, 3], 'dtype': 'uint8'}),
        *({'shape': [], 'dtype': 'uint8'}, {'shape': [5, 2, 2]}, {'shape': [0, 2, 2], 'dtype': 1}),
        *({'shape': [5, 2, 2], 'dtype': 'object'}, {'shape': [5, 2, 2], 'dtype': ['uint8']}),
        {'shape': [5, 2, 2], 'dtype': 'uint8', 'more': 1},
    ],
    'label': [None, {'shape': [5, 1], 'dtype': 'int32'}, {'shape': [2**40], 'dtype': 'int32'}],
    'num_scored': [{'shape': [5], 'dtype': 'int32'}],
    'a.b': [{'shape': [5], 'dtype': 'int32'}],
}


def damaged_records():
    """Records in which one value is wrong."""
    whole = record_of(LABELLED, {'without_classes': [1]})
    assert data_record.read(PATH, whole).spec == LABELLED.spec
    for group, changes in (('spec', SPECS), ('train_shapes', ARRAYS)):
        for name, values in changes.items():
            for value in values:
                record = copy.deepcopy(whole)
                record[group][name] = value
                yield f'{group}.{name}={value!a}'[:60], record
        for name in ('x', 'label') if group == 'train_shapes' else ('event_shape', 'num_classes'):
            record = copy.deepcopy(whole)
            del record[group][name]
            yield f'no {group}.{name}', record
    for shapes in SHAPES:
        yield f'train_shapes={shapes}', {**whole, 'train_shapes': shapes}
    for spec in (None, [], 3, 'Spec'):
        yield f'spec={spec}', {**whole, 'spec': spec}
    for name in (None, 'digits'):
        yield f'name={name}', {**whole, 'data_name': name}
    yield 'classes of the config', {**whole, 'values': {'data': {'without_classes': []}}}


def test_a_damaged_record_is_refused_in_one_line(complaint):
    """Types, sizes, and values that contradict each other, the config or the fingerprint."""
    for name, record in damaged_records():
        line = complaint(data_record.read, PATH, record)
        assert line.startswith(f'{PATH} is damaged: '), f'{name}: {line}'
        assert len(line) < 600, name


def test_an_event_of_another_shape_is_named(complaint):
    """Both shapes are those of the file."""
    record = copy.deepcopy(record_of(LABELLED, {'without_classes': [1]}))
    shape = record['train_shapes']['x']['shape']
    record['spec']['event_shape'] = [2**20]
    line = complaint(data_record.read, PATH, record)
    assert f'train_shapes.x.shape is {shape}, spec.event_shape is [1048576]' in line


PICTURE = Spec((4, 4, 3), 256, 2)
OF_OTHER_SOURCES = {
    'another name': ('digits', Spec((8, 8, 1), 17, 10), {'name': 'shapes'}),
    'digits as a folder': ('digits', Spec((8, 8, 1), 17, 10), {'name': 'folder'}),
    'a table as a folder': ('arrays', Spec((3,), None, None), {'name': 'folder'}),
    'text as a folder': ('text', Spec((3,), 256, None, symbols=''.join(map(chr, range(256)))), {}),
    'text as lines': ('lines', Spec((3,), 3, None, symbols='abc'), {'name': 'lines'}),
    'lines as text': ('text', Spec((3,), 3, None, symbols='\0bc'), {'name': 'text'}),
    'lines as molecules': ('lines', Spec((3,), 3, None, symbols='\0bc'), {'name': 'molecules'}),
    'a table as lines': ('lines', Spec((3,), None, None), {'name': 'lines'}),
    'a folder as text': ('text', PICTURE, {'name': 'text'}),
    'a table as parquet': ('pets', Spec((3,), None, None), {'name': 'parquet'}),
    'parquet as digits': ('digits', Spec((8, 8, 1), 17, 10), {'name': 'mnist_5k'}),
    'a folder as another': ('pets', PICTURE, {'name': 'mnist'}),
    'levels that are binary': ('pets', PICTURE, {'name': 'folder', 'binarize': 'threshold'}),
    'levels without noise': ('pets', PICTURE, {'name': 'folder', 'dequantize': 'uniform'}),
    'noise': ('pets', PICTURE._replace(levels=None, dequantized_levels=256), {'name': 'folder'}),
}


@pytest.mark.parametrize('name', OF_OTHER_SOURCES)
def test_a_spec_of_another_source_than_that_of_the_config_is_refused(complaint, name):
    data_name, spec, config = OF_OTHER_SOURCES[name]
    arrays = {'x': np.zeros((5, *spec.event_shape)), 'label': np.zeros(5)}
    data = of(spec, **(arrays if spec.num_classes else {'x': arrays['x']}))
    record = record_of(data._replace(name=data_name), {'name': 'folder', **config})
    line = complaint(data_record.read, PATH, record)
    assert 'do not agree with config.data' in line and len(line) < 600


@pytest.mark.parametrize(
    ('spec', 'config'),
    [
        (PICTURE, {}),
        (PICTURE._replace(levels=2), {'binarize': 'stochastic'}),
        (PICTURE._replace(levels=None, dequantized_levels=256), {'dequantize': 'uniform'}),
        (
            PICTURE._replace(levels=None, dequantized_levels=2),
            {'binarize': 'threshold', 'dequantize': 'uniform'},
        ),
    ],
)
def test_a_spec_of_a_folder_is_accepted(spec, config):
    """The data have the name of the folder, which may have moved since."""
    data = of(spec, x=np.zeros((5, 4, 4, 3)), label=np.zeros(5))
    record = record_of(data._replace(name='pets'), {'name': 'folder', 'path': '/moved', **config})
    assert data_record.read(PATH, record).spec == spec


@pytest.mark.parametrize('config', [{}, {'is_packed': True}])
def test_rows_of_items_are_events_or_packed(complaint, config):
    for shape in ((9, 4), (9, 2)) if not config else ((9, 2), (9, 7, 1)):
        data = of(Spec((3,), 3, None, symbols='\0ab'), x=np.zeros(shape))
        line = complaint(data_record.read, PATH, record_of(data, config))
        assert f'train_shapes.x.shape is {[*shape]}, spec.event_shape is [3]' in line


def test_an_example_that_does_not_fit_is_refused(complaint, monkeypatch):
    """Before anything is built from its size."""
    data = of(Spec((1000, 1000), 2, None), x=np.zeros((1, 1000, 1000), bool))
    recorded = data_record.read(PATH, record_of(data))
    monkeypatch.setattr(devices, 'memory_bytes', lambda device: 7e6)
    line = complaint(data_record.stand_in_for, PATH, recorded, unread)
    assert 'one example takes 0.0 GB' in line


NAMES = [pathlib.Path(path).stem for path in with_own_build()]
QUICK = ('vae', 'markov', 'ppca', 'naive_bayes')


@pytest.mark.parametrize(
    'name', [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in NAMES]
)
def test_a_model_has_the_same_shapes_without_its_data(name, tmp_path):
    run = assembled(tmp_path, name, 'debug')
    recorded = data_record.read(PATH, record_of(run.data, run.config.data.to_dict()))
    data = data_record.stand_in_for(PATH, recorded, unread)
    family = run.config_file.build(run.config, data.spec)
    shapes, expected = (
        jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), restore.abstract_state(each))
        for each in (run._replace(data=data, family=family), run)
    )
    assert shapes == expected


def test_records_are_those_of_data_sets_that_are_loaded(tmp_path):
    """The shapes are those of the data that a config loads."""
    run = assembled(tmp_path, 'vae', 'ring,debug')
    recorded = data_record.read(PATH, record_of(dataset.load(run.config)))
    assert recorded.spec.event_shape == (2,) and recorded.shapes['x'].dtype == 'float32'
    with pytest.raises(UserError, match='data is event_shape'):
        record = record_of(run.data)
        record['spec']['num_classes'] += 1
        data_record.read(PATH, record)
