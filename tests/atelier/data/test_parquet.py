"""Images in parquet files: columns, splits, labels, and files from strangers."""

import builtins
import json
import random

import numpy as np
import pytest

from atelier.data import dataset, folder_layout, parquet
from atelier.errors import UserError
from benchmarks.mutating import damaged
from benchmarks.original_files import write_parquet
from benchmarks.tfds_files import png
from configs.shared.common import common_config

pyarrow = pytest.importorskip('pyarrow')
pq = pytest.importorskip('pyarrow.parquet')

X = np.repeat(np.arange(60, dtype=np.uint8), 4 * 5 * 3).reshape(60, 4, 5, 3)
LABEL = np.arange(60) % 3


@pytest.fixture(autouse=True)
def private_cache(cache):
    """Every test decodes afresh."""


def loaded(path, **settings):
    config = common_config()
    config.data.update(name='parquet', path=str(path), **settings)
    return dataset.load(config)


def reds(part):
    return part['x'][:, 0, 0, 0].tolist()


# What is read


@pytest.mark.parametrize('column', ['image', 'img'])
@pytest.mark.parametrize('options', [{}, {'row_group_size': 7}, {'compression': 'zstd'}])
def test_a_file_is_split_by_content(tmp_path, column, options):
    data = loaded(write_parquet(tmp_path / 'mine.parquet', X, LABEL, column, **options))
    assert data.spec == dataset.Spec((4, 5, 3), 256, 3)
    assert 'split by content' in data.description
    parts = data.splits.values()
    assert sorted(red for part in parts for red in reds(part)) == list(range(60))
    assert all(part['label'].tolist() == [red % 3 for red in reds(part)] for part in parts)


def test_the_files_of_a_split_are_joined(tmp_path):
    for i in range(3):
        rows = slice(20 * i, 20 * i + 20)
        write_parquet(tmp_path / f'train-{i:05}-of-00003.parquet', X[rows], LABEL[rows])
    write_parquet(tmp_path / 'validation-00000-of-00001.parquet', X[:7], LABEL[:7])
    write_parquet(tmp_path / 'test-00000-of-00001.parquet', X[:5], LABEL[:5])
    for path in (tmp_path, tmp_path / 'test-00000-of-00001.parquet', tmp_path.parent):
        if path != tmp_path.parent:
            data = loaded(path)
            assert {s: data.size(s) for s in data.splits} == {'train': 60, 'valid': 7, 'test': 5}
            assert data.splits['train']['label'].tolist() == [
                r % 3 for r in reds(data.splits['train'])
            ]


def test_folders_may_name_the_splits(tmp_path):
    write_parquet(tmp_path / 'set' / 'train' / '0000.parquet', X)
    write_parquet(tmp_path / 'set' / 'test' / '0000.parquet', X[:5])
    data = loaded(tmp_path / 'set')
    assert data.size('test') == 5
    assert data.spec.num_classes is None


@pytest.mark.parametrize('spelling', folder_layout.SPELLINGS['test'])
@pytest.mark.parametrize('layout', ['{}.parquet', '{}-00000-of-00001.parquet', '{}/0000.parquet'])
def test_splits_have_the_names_that_folders_of_images_know(tmp_path, spelling, layout):
    write_parquet(tmp_path / layout.format('training'), X)
    write_parquet(tmp_path / layout.format(spelling.title()), X[:5])
    write_parquet(tmp_path / layout.format('valset'), X[:7])
    data = loaded(tmp_path)
    assert {s: data.size(s) for s in data.splits} == {'train': 60, 'valid': 7, 'test': 5}


@pytest.mark.parametrize('layout', ['{}.parquet', '{}/0000.parquet'])
def test_two_names_of_one_split_are_refused(tmp_path, complaint, layout):
    for name in ('train', 'training'):
        write_parquet(tmp_path / layout.format(name), X)
    assert 'training and train are names of one split' in complaint(loaded, tmp_path)


def test_the_column_labels_is_read_and_unread_columns_are_named(tmp_path, caplog):
    caplog.set_level('INFO', 'atelier')
    values = {'labels': LABEL[:20], 'source': ['a'] * 20, 'id': list(range(20))}
    info = {'info': {'features': {'labels': {'names': ['ant', 'bee', 'cat']}}}}
    described = table(image=IMAGES, **values).replace_schema_metadata(
        {'huggingface': json.dumps(info)}
    )
    pq.write_table(described, tmp_path / 'a.parquet')
    data = loaded(tmp_path / 'a.parquet')
    assert data.splits['train']['label'].tolist() == [r % 3 for r in reds(data.splits['train'])]
    assert data.spec.class_names == ('ant', 'bee', 'cat')
    assert data.notes == ('columns that are not read: id, source',)
    assert [line for line in caplog.messages if line.endswith(data.notes[0])] == [
        f'{tmp_path}/a.parquet: {data.notes[0]}'
    ]


def with_condition(path, rows=slice(None), **columns):
    """Writes numbers, labels, truths and captions of the pictures in these rows."""
    numbers = range(60)[rows]
    values = {
        'age': [i / 2 for i in numbers],
        'hair': pyarrow.array(['ab'[i % 2] for i in numbers]).dictionary_encode(),
        'smiles': [i % 3 == 0 for i in numbers],
        'text': [' '.join(str(i)) for i in numbers],
        **columns,
    }
    pq.write_table(table(image=[png(x) for x in X[rows]], **values), path)
    return path


@pytest.mark.parametrize('rule', ['content', 'order'])
def test_columns_are_the_condition_of_their_pictures(tmp_path, rule):
    path = with_condition(tmp_path / 'a.parquet')
    numbers = loaded(path, condition=('age',), split_by=rule)
    labels = loaded(path, condition=('hair', 'smiles'), split_by=rule)
    words = loaded(path, split_by=rule)
    assert labels.spec.condition.values == (('a', 'b'), ('false', 'true'))
    assert words.spec == loaded(path, condition=('text',), split_by=rule).spec
    assert loaded(path, condition=('none',), split_by=rule).spec.condition is None
    for name in ('train', 'valid', 'test'):
        parts = [data.splits[name] for data in (numbers, labels, words)]
        red = np.array(reds(parts[0]))
        np.testing.assert_array_equal(parts[0]['condition'], red[:, None] / 2)
        np.testing.assert_array_equal(parts[1]['condition'], np.stack([red % 2, red % 3 == 0], 1))
        texts = map(words.spec.condition.described, parts[2]['condition'].tolist())
        assert [*texts] == [' '.join(str(each)) for each in reds(parts[2])]
    assert 'condition: text of a.parquet; --config.data.condition=none leaves' in words.notes[0]
    assert 'columns that are not read: age, hair, smiles' in words.notes


def test_the_condition_of_several_files_is_joined(tmp_path, complaint):
    for i in range(3):
        name = f'train-{i:05}-of-00003.parquet'
        with_condition(tmp_path / name, slice(20 * i, 20 * i + 20))
    with_condition(tmp_path / 'test.parquet', slice(0, 5), age=[1.0, 2.0, 3.0, 4.0, None])
    line = complaint(loaded, tmp_path, condition=('age',))
    assert line == 'test.parquet row 4: age is missing: give every example one'
    with_condition(tmp_path / 'test.parquet', slice(0, 5))
    for part in loaded(tmp_path, condition=('age',)).splits.values():
        np.testing.assert_array_equal(part['condition'][:, 0], np.array(reds(part)) / 2)


@pytest.mark.parametrize(
    ('setting', 'columns', 'fault'),
    [
        ('aeg', {}, "a.parquet has no column 'aeg' (did you mean 'age'?)"),
        ('image', {}, 'its column image holds'),
        ('size', {'size': [[1, 2]] * 60}, 'its column size holds list<'),
        ('size', {'size': [None] * 60}, 'its column size holds null'),
        ('size', {'size': [float('nan')] * 60}, 'a.parquet row 0: size is nan'),
        ('size', {'size': ['a' * 2**20 + 'a'] * 60}, 'row 0: its size has 1,048,577 bytes'),
        ('text', {'text': [''] + ['a'] * 59}, 'a.parquet row 0: text is missing or empty'),
    ],
)
def test_a_wrong_condition_is_one_line(tmp_path, setting, columns, fault, complaint):
    path = with_condition(tmp_path / 'a.parquet', **columns)
    assert fault in complaint(loaded, path, condition=(setting,))


def test_captions_that_are_all_equal_are_no_condition(tmp_path):
    assert loaded(with_condition(tmp_path / 'a.parquet', text=['a'] * 60)).spec.condition is None


def test_plain_binary_and_names_of_classes(tmp_path):
    column = pyarrow.array([png(x) for x in X], pyarrow.binary())
    pq.write_table(pyarrow.table({'image': column}), tmp_path / 'a.parquet')
    assert loaded(tmp_path / 'a.parquet').spec.event_shape == (4, 5, 3)
    write_parquet(tmp_path / 'b.parquet', X, LABEL, names=['ant', 'bee', 'cat', 'dog'])
    assert loaded(tmp_path / 'b.parquet').spec.num_classes == 4


def test_images_are_scaled(tmp_path):
    path = write_parquet(tmp_path / 'a.parquet', X, LABEL)
    assert loaded(path, image_shape=(2, 2, 3)).spec.event_shape == (2, 2, 3)


def test_extra_is_not_read(tmp_path):
    for name in ('train', 'extra'):
        write_parquet(tmp_path / f'{name}-00000-of-00001.parquet', X, LABEL)
    data = loaded(tmp_path)
    assert sum(data.size(split) for split in data.splits) == 60


def test_a_repeated_image_is_kept_once(tmp_path):
    path = write_parquet(tmp_path / 'train.parquet', np.repeat(X[:1], 2000, 0))
    part = parquet.read(parquet.find(path))['train']
    stored = part.images.read(range(2000))
    assert len({id(image.raw) for image in stored}) == 1


# What is refused


def test_missing_files_are_named(tmp_path, complaint):
    assert 'set config.data.path to a parquet file' in complaint(parquet.load)
    assert 'does not exist' in complaint(loaded, tmp_path / 'none')
    assert f'there is no parquet file in {tmp_path}' in complaint(loaded, tmp_path)


def test_a_part_of_a_split_is_refused(tmp_path, complaint):
    write_parquet(tmp_path / 'train-00000-of-00002.parquet', X, LABEL)
    assert 'all files of one download are needed' in complaint(loaded, tmp_path)


def test_a_test_file_is_never_trained_on(tmp_path, complaint):
    path = write_parquet(tmp_path / 'test-00000-of-00001.parquet', X, LABEL)
    assert 'no parquet file whose name begins with train' in complaint(loaded, path)


def test_names_that_are_no_splits_are_refused(tmp_path, complaint):
    for name in ('first', 'second'):
        write_parquet(tmp_path / f'{name}.parquet', X, LABEL)
    assert 'does not begin with train, valid or test' in complaint(loaded, tmp_path)


def test_two_folders_of_files_are_refused(tmp_path, complaint):
    for name in ('cropped_digits', 'full_numbers'):
        write_parquet(tmp_path / name / 'train.parquet', X, LABEL)
    line = complaint(loaded, tmp_path)
    assert 'cropped_digits' in line
    assert 'set config.data.path to one of them' in line


def table(**columns):
    return pyarrow.table(columns)


IMAGES = pyarrow.array([png(x) for x in X[:20]])
BAD = {
    'no image': (table(x=IMAGES), 'has no column image: it has x'),
    'text': (table(image=['a.png'] * 20), 'holds string, not encoded images'),
    'numbers': (table(image=list(range(20))), 'holds int64, not encoded images'),
    'struct': (table(image=[{'path': 'a'}] * 20), 'not encoded images'),
    'null': (table(image=pyarrow.array([None] * 20, pyarrow.binary())), 'row 0: its image has 0'),
    'no picture': (table(image=[b'rubbish'] * 20), 'is not an image in a known format'),
    'label of text': (table(image=IMAGES, label=['a'] * 20), 'has to hold whole numbers'),
    'labels of text': (table(image=IMAGES, labels=['a'] * 20), 'column labels has to hold whole'),
    'label of nulls': (table(image=IMAGES, label=[None, *range(19)]), 'has to hold whole numbers'),
    'negative label': (table(image=IMAGES, label=list(range(-1, 19))), 'from 0 on, got -1'),
    'large label': (table(image=IMAGES, label=[2**40] * 20), 'whole numbers from 0 on'),
    'many classes': (table(image=IMAGES, label=[*range(19), 2**20]), 'would be 1,048,577 classes'),
    'empty': (table(image=pyarrow.array([], pyarrow.binary())), 'is empty'),
}


@pytest.mark.parametrize(('content', 'said'), BAD.values(), ids=BAD)
def test_bad_columns_are_refused(tmp_path, complaint, content, said):
    pq.write_table(content, tmp_path / 'train.parquet')
    assert said in complaint(loaded, tmp_path)


def test_splits_of_different_kinds_are_refused(tmp_path, complaint):
    write_parquet(tmp_path / 'train.parquet', X, LABEL)
    write_parquet(tmp_path / 'test.parquet', X)
    assert 'some splits have labels and others have none' in complaint(loaded, tmp_path)
    write_parquet(tmp_path / 'train-2.parquet', X)
    assert 'some parquet files have labels' in complaint(loaded, tmp_path)


@pytest.mark.parametrize('second', ['test', 'train-00001-of-00002'])
@pytest.mark.parametrize('names', [['bee', 'ant', 'cat'], ['ant', 'bee'], []])
def test_files_that_name_classes_differently_are_refused(tmp_path, complaint, second, names):
    """Equal labels would be different classes."""
    first = 'train' if second == 'test' else 'train-00000-of-00002'
    write_parquet(tmp_path / f'{first}.parquet', X, LABEL, names=['ant', 'bee', 'cat'])
    write_parquet(tmp_path / f'{second}.parquet', X[:5], LABEL[:5], names=names)
    assert 'different names or orders' in complaint(loaded, tmp_path)


def test_labels_that_are_no_classes_are_refused(tmp_path, complaint):
    """Above the classes that are named; or a special value, such as 255 for none."""
    write_parquet(tmp_path / 'a.parquet', X, LABEL, names=['ant', 'bee'])
    assert 'names 2 classes, but labels go up to 2' in complaint(loaded, tmp_path / 'a.parquet')
    write_parquet(tmp_path / 'b.parquet', X, np.where(LABEL == 2, 255, LABEL))
    assert 'there would be 256 classes' in complaint(loaded, tmp_path / 'b.parquet')


def test_a_large_image_is_refused(tmp_path, complaint, monkeypatch):
    from atelier.data import parquet_table

    monkeypatch.setattr(parquet_table, 'MAX_PICTURE', 10)
    assert 'expected 1 to 10' in complaint(loaded, write_parquet(tmp_path / 'a.parquet', X))


class Evil(pyarrow.ExtensionType):
    """A type that is registered nowhere."""

    def __init__(self):
        super().__init__(pyarrow.binary(), 'evil.type')

    def __arrow_ext_serialize__(self):
        return b'cos\nsystem\n(S"touch evil"\ntR.'

    @classmethod
    def __arrow_ext_deserialize__(cls, storage, serialized):
        raise SystemExit('it ran')


def test_extension_types_are_not_built(tmp_path):
    column = pyarrow.ExtensionArray.from_storage(Evil(), IMAGES)
    pq.write_table(table(image=column), tmp_path / 'train.parquet')
    assert sum(part.images.count for part in parquet.read(parquet.find(tmp_path)).values()) == 20


def test_pyarrow_is_needed_and_old_ones_are_unsafe(tmp_path, complaint, monkeypatch):
    path = write_parquet(tmp_path / 'train.parquet', X)
    monkeypatch.setattr(pyarrow, '__version__', '13.0.0')
    assert 'pyarrow 13.0.0 is unsafe: pip install --upgrade pyarrow' in complaint(loaded, path)
    find = builtins.__import__

    def without(name, *rest):
        if name.startswith('pyarrow'):
            raise ImportError(name)
        return find(name, *rest)

    monkeypatch.setattr(builtins, '__import__', without)
    assert complaint(loaded, path) == 'parquet files are read by pyarrow: pip install pyarrow'


def test_random_damage_is_one_line(tmp_path):
    path = write_parquet(tmp_path / 'train.parquet', X, LABEL)
    content, rng = path.read_bytes(), random.Random(0)
    for _ in range(200):
        path.write_bytes(damaged(content, rng))
        try:
            parquet.read((path,))
        except UserError as error:
            assert len(str(error).splitlines()) == 1
