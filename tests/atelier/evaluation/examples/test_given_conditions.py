"""New examples have the condition of the run: its names, values and words."""

import json

import numpy as np
import pytest
from PIL import Image
from support import assembled

from atelier.data.conditions.labels import Labels
from atelier.data.conditions.numbers import Numbers
from atelier.data.conditions.words import of_captions
from atelier.evaluation.examples import given
from atelier.evaluation.examples.given_conditions import checked
from benchmarks.original_files import png

HAIR = Labels(('hair', 'size'), (('black', 'brown'), ('1', '2')))
AGE = Numbers(('age', 'height'))
WORDS = of_captions(['a red cat', 'two dogs'])


def run_of(folder, name, **arrays):
    """Returns a run of `configs/NAME.py` on arrays with a condition."""
    x = np.random.RandomState(0).randint(0, 17, (30, 8, 8, 1)).astype(np.uint8)
    np.savez(folder / 'data.npz', x=x, levels=17, **arrays)
    changes = dict(data__path=str(folder / 'data.npz'), data__split_by='order')
    return assembled(folder / 'run', name, 'arrays,debug', **changes)


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """A conditional run for each kind of condition, and one that reads none."""
    hair, age = np.arange(30)[:, None] // [1, 2] % 2, np.arange(60.0).reshape(30, 2)
    arrays = {
        'hair': dict(condition=hair, condition_names=HAIR.names),
        'age': dict(condition=age, condition_names=AGE.names),
        'words': dict(caption=np.array(['a red cat', 'two dogs', 'two red cat'] * 10)),
    }
    made = {k: run_of(tmp_path_factory.mktemp(k), 'cvae', **each) for k, each in arrays.items()}
    data = made['hair'].data
    named = data._replace(spec=data.spec._replace(condition=HAIR))
    made['hair'] = made['hair']._replace(data=named)
    return made | {'plain': run_of(tmp_path_factory.mktemp('plain'), 'vae', **arrays['age'])}


ROWS = {  # by kind: the values of two pictures, and the condition that they are
    'hair': ([dict(hair='brown', size=1), dict(hair='black', size='2')], [[1, 0], [0, 1]]),
    'age': ([dict(age=1.5, height=2), dict(age='3', height=-4)], [[1.5, 2], [3, -4]]),
    'words': ([dict(text='two RED dogs'), dict(text='a cat')], ['two red dogs', 'a cat']),
}


def pictures(folder, rows):
    folder.mkdir()
    for i in range(2):
        Image.new('L', (8, 8), 120 * i).save(folder / f'{i}.png')
    lines = [json.dumps({'file_name': f'{i}.png', **row}) for i, row in enumerate(rows)]
    (folder / 'metadata.jsonl').write_text('\n'.join(lines[::-1]))
    return str(folder)


def condition_of(run, data):
    rows = data.splits['test']['condition'].tolist()
    is_words = run.data.spec.condition.num_columns == 4
    return [run.data.spec.condition.described(row) for row in rows] if is_words else rows


@pytest.mark.parametrize('kind', ROWS)
def test_pictures_have_the_condition_beside_them(runs, kind, tmp_path):
    run, (rows, expected) = runs[kind], ROWS[kind]
    data = given.read(run, pictures(tmp_path / 'new', rows))
    assert condition_of(run, data) == expected
    assert data.splits['test']['x'][:, 0, 0, 0].tolist() == [0, 8]


def test_cells_of_a_table_are_labels_as_they_stand(runs, tmp_path):
    path = pictures(tmp_path / 'new', [{}, {}])
    (tmp_path / 'new' / 'metadata.jsonl').unlink()
    table = 'file_name,size,hair\n1.png,2,black\n0.png, 1,brown\n'
    (tmp_path / 'new' / 'metadata.csv').write_text(table)
    assert condition_of(runs['hair'], given.read(runs['hair'], path)) == [[1, 0], [0, 1]]
    table = 'file_name,age,height\n1.png,3,-4\n0.png,1.5,2e0\n'
    (tmp_path / 'new' / 'metadata.csv').write_text(table)
    assert condition_of(runs['age'], given.read(runs['age'], path)) == [[1.5, 2], [3, -4]]


def test_captions_may_be_in_another_file_than_those_of_training(runs, tmp_path):
    run = runs['words']
    config = run.config.copy_and_resolve_references()
    config.data.condition = ('text',)
    path = pictures(tmp_path / 'new', [{}, {}])
    (tmp_path / 'new' / 'metadata.jsonl').unlink()
    (tmp_path / 'new' / 'captions.txt').write_text('1.png\ttwo dogs\n0.png\ta cat\n')
    data = given.read(run._replace(config=config), path)
    assert condition_of(run, data) == ['a cat', 'two dogs']


@pytest.mark.parametrize('kind', ROWS)
def test_parquet_files_have_the_condition_in_their_columns(runs, kind, tmp_path):
    pyarrow = pytest.importorskip('pyarrow')
    from pyarrow import parquet

    run, (rows, expected) = runs[kind], ROWS[kind]
    text = lambda value: value if kind != 'age' else float(value)
    columns = {key: [text(row[key]) for row in rows] for key in rows[0]}
    columns = {k: [*map(str, v)] if kind == 'hair' else v for k, v in columns.items()}
    images = [png(np.full((8, 8), 120 * i, np.uint8)) for i in range(2)]
    parquet.write_table(pyarrow.table({'image': images, **columns}), tmp_path / 'new.parquet')
    assert condition_of(run, given.read(run, str(tmp_path / 'new.parquet'))) == expected


@pytest.mark.parametrize(
    ('kind', 'key', 'values'),
    [
        ('hair', 'condition', [[1, 0], [0, 1]]),
        ('hair', 'condition', [['brown', '1'], ['black', '2']]),
        ('age', 'condition', [[1.5, 2], [3, -4]]),
        ('words', 'caption', ['two red dogs', 'a cat']),
    ],
)
def test_arrays_have_the_condition_in_a_key(runs, kind, key, values, tmp_path):
    run, expected, x = runs[kind], ROWS[kind][1], np.zeros((2, 8, 8, 1), np.uint8)
    np.savez(tmp_path / 'new.npz', **{'x': x, key: np.array(values)})
    assert condition_of(run, given.read(run, str(tmp_path / 'new.npz'))) == expected
    assert condition_of(run, given.from_arrays(run, x, condition=values)) == expected


@pytest.mark.parametrize(
    ('kind', 'row', 'fault'),
    [
        ('hair', dict(hair='red', size=1), "metadata.jsonl, line 2: condition hair='red': no such"),
        ('age', dict(age='old', height=1), "metadata.jsonl, line 2: condition age='old': give a"),
        ('age', dict(height=1), 'metadata.jsonl, line 2: age is missing'),
        ('words', dict(text='a blue cat'), "metadata.jsonl, line 2: the word 'blue' is in no capt"),
    ],
)
def test_what_training_lacks_is_refused(runs, kind, row, fault, tmp_path, complaint):
    path = pictures(tmp_path / 'new', [row, ROWS[kind][0][0]])
    assert fault in complaint(given.read, runs[kind], path)


def test_a_missing_condition_is_refused_if_the_model_reads_it(runs, tmp_path, complaint):
    path = pictures(tmp_path / 'new', [{}, {}])
    (tmp_path / 'new' / 'metadata.jsonl').unlink()
    line = complaint(given.read, runs['age'], path)
    assert 'needs the condition (age, height) of each example: give metadata.jsonl or' in line
    line = complaint(given.read, runs['words'], f'{path}/0.png')
    assert 'needs the caption of each example: give captions.txt beside pictures' in line
    x = np.zeros((2, 8, 8, 1), np.uint8)
    assert 'needs the condition' in complaint(given.from_arrays, runs['hair'], x)
    assert {*given.read(runs['plain'], path).splits['test']} == {'x'}
    assert {*given.from_arrays(runs['plain'], x).splits['test']} == {'x'}


def test_a_model_that_reads_no_condition_has_it_where_it_is(runs, tmp_path, caplog):
    run = runs['plain']
    path = pictures(tmp_path / 'new', ROWS['age'][0])
    assert condition_of(run, given.read(run, path)) == ROWS['age'][1]
    assert not caplog.records
    file = tmp_path / 'new' / 'metadata.jsonl'
    file.write_text(file.read_text().replace('height', 'weight').replace('age', 'size'))
    assert {*given.read(run, path).splits['test']} == {'x'}
    assert not caplog.records
    file.write_text(file.read_text().replace('size', 'age'))
    assert {*given.read(run, path).splits['test']} == {'x'}
    assert 'the condition is passed over' in caplog.text and "no column 'height'" in caplog.text


def test_a_model_that_reads_no_condition_takes_parquet_files_with_and_without_it(runs, tmp_path):
    pyarrow = pytest.importorskip('pyarrow')
    from pyarrow import parquet

    columns = {'image': [png(np.zeros((8, 8), np.uint8))] * 2, 'age': [1.5, 3.0]}
    for more, expected in [({}, {'x'}), ({'height': [2.0, -4.0]}, {'x', 'condition'})]:
        parquet.write_table(pyarrow.table(columns | more), tmp_path / 'new.parquet')
        data = given.read(runs['plain'], str(tmp_path / 'new.parquet'))
        assert {*data.splits['test']} == expected


@pytest.mark.parametrize(
    ('condition', 'values', 'fault'),
    [
        (AGE, [['a', 'b']], 'key is <U1 (1, 2): give values [1, 2]'),
        (AGE, [[1, 2, 3]], 'give values [1, 2]'),
        (AGE, [[1, float('inf')]], 'key, row 0: height is inf: give a finite number'),
        (AGE, [[1, 1e39]], 'key, row 0: height is 1e+39: give a finite number'),
        (HAIR, [[0.5, 1]], 'give values [1, 2]'),
        (HAIR, [[1, 2]], 'key, row 0: 2 in column 1: give integers from 0 to 1'),
        (HAIR._replace(untrained=((), ('2',))), [[1, 1]], 'no example of training has this'),
        (HAIR, [['black', '3']], "key, row 0: condition size='3': no such value"),
        (WORDS, [[0.0] * 4], 'give texts [1]'),
        (WORDS, [[1, -1, 0, 0]], 'key, row 0: -1 in column 1: give integers from 0 to 5'),
        (WORDS, ['a fish'], "key, row 0: the word 'fish'"),
        (WORDS, [''], 'key, row 0: caption is missing'),
    ],
)
def test_arrays_of_another_condition_are_refused(condition, values, fault, complaint):
    assert fault in complaint(checked, condition, np.array(values), 1, 'key')


def test_names_and_parts_are_those_of_the_run(runs, tmp_path, complaint):
    x, values = np.zeros((2, 8, 8, 1), np.uint8), np.zeros((2, 2))
    np.savez(tmp_path / 'a.npz', x=x, condition=values, condition_names=['height', 'age'])
    line = complaint(given.read, runs['age'], str(tmp_path / 'a.npz'))
    assert line.startswith('its condition_names are height, age, and those of the run age, height')
    np.savez(tmp_path / 'a.npz', x_train=x, x_test=x, condition_test=values)
    line = complaint(given.read, runs['age'], str(tmp_path / 'a.npz'))
    assert line == 'it has condition_test of condition_train, condition_test: give all or none'
