"""The table of what was understood of data: short, complete, and safe to print."""

import numpy as np
import pytest
from support import make_run

from atelier.data import summary
from atelier.data.dataset import Dataset, Spec


def table(data: Dataset) -> str:
    return '\n'.join(summary.lines_of(summary.summary_of(data), data.spec))


def splits_of(x, label=None, cuts=(6, 8)):
    parts = np.split(x, cuts), [None] * 3 if label is None else np.split(np.asarray(label), cuts)
    return {
        name: {'x': x} | ({} if label is None else {'label': label})
        for name, x, label in zip(('train', 'valid', 'test'), *parts, strict=True)
    }


def test_the_table_of_embedded_data_is_short(tmp_path):
    data = make_run(tmp_path / 'run').data
    lines = table(data).splitlines()
    assert len(lines) <= 6
    assert lines[0] == 'digits: 8x8x1, 17 levels, training values 0 to 16'
    assert lines[1].split() == ['train', 'valid', 'test']
    assert lines[2].split() == ['examples', '1,000', '350', '447']
    assert '10 classes' in lines[3]


def test_classes_with_names_and_counts():
    spec = Spec((2,), 256, 3, left_out=(2,), class_names=('cat', 'a\nerror: b', 'cow'))
    data = Dataset('mine', spec, splits_of(np.arange(20).reshape(10, 2), [0, 1] * 4 + [2, 0]), '')
    data = data._replace(notes=('2 files were passed over',), split_origin='by content')
    text = table(data)
    rows = [line.split() for line in text.splitlines()]
    assert ['cat', '3', '1', '1'] in rows and ['cow', '0', '0', '1'] in rows
    assert r'a\nerror: b' in text and '\nerror' not in text
    assert 'classes without training examples: cow' in text
    assert 'splits: by content' in text
    assert summary.summary_of(data)['notes'] == ['2 files were passed over']
    assert 'passed over' not in text  # the log has said it when the files were read


def test_many_classes_are_counted():
    label = np.arange(40)
    spec = Spec((), 256, 60)
    data = Dataset('mine', spec, splits_of(np.arange(40), label, (30, 35)), '')
    lines = table(data).splitlines()
    assert len([line for line in lines if line.split()[:1] and line.split()[0].isdecimal()]) == 20
    assert '  and 20 more classes' in lines


def test_more_classes_than_are_listed_are_counted(monkeypatch):
    monkeypatch.setattr(summary, 'MAX_NAMES_KEPT', 30)
    label = np.arange(50)
    data = Dataset('mine', Spec((), 256, 50), splits_of(np.arange(50), label, (40, 45)), '')
    found = summary.summary_of(data)
    assert '  and 30 more classes' in summary.lines_of(found, data.spec)
    assert len(found['classes']) == 30 and found['num_classes_not_listed'] == 20


@pytest.mark.parametrize('binarize', ['stochastic', 'threshold'])
@pytest.mark.parametrize('left_out', [(), (9,)])
def test_binarised_data_are_described_as_they_are_stored(tmp_path, binarize, left_out):
    x = np.random.RandomState(0).randint(0, 17, (40, 4, 4, 1)).astype(np.uint8)
    x[0, 0, 0], x[38], x[39] = 16, x[0], x[1]
    parts = splits_of(x, np.arange(40) % 10, (30, 35))
    arrays = {f'{key}_{name}': part[key] for name, part in parts.items() for key in part}
    np.savez(tmp_path / 'x.npz', **arrays)
    changes = dict(data__path=str(tmp_path / 'x.npz'))
    changes |= dict(data__name='arrays', data__without_classes=left_out)
    data = make_run(tmp_path / 'run', **changes, data__binarize=binarize).data
    text = table(data)
    assert '2 levels, binarised from training values 0 to 16' in text.splitlines()[0]
    expected = summary.copies(make_run(tmp_path / 'grey', **changes).data)
    assert summary.copies(data) == expected and sum(expected['trained'].values()) == 2
    assert all({*split} <= {'x', 'label'} for split in data.splits.values())


def test_constant_columns_and_copies_are_said():
    x = np.arange(30, dtype=np.float32).reshape(10, 3)
    x[:, 1] = 7
    x[1], x[9], x[8] = x[0], x[2], x[2]
    text = table(Dataset('mine', Spec((3,), None, None), splits_of(x), ''))
    assert 'columns with one value: 1' in text
    assert 'examples that repeat another one of their split: 1 in train, 1 in test' in text
    assert 'examples that training has too: 2 in test' in text
    assert 'training values 0 to 17' in text


@pytest.mark.parametrize('shape', [(3,), (3, 1), ()])
def test_a_range_of_some_examples_says_so(monkeypatch, shape):
    x = np.arange(10.0).reshape(10, *(1 for _ in shape)) * np.ones(shape)
    data = Dataset('mine', Spec(shape, None, None), splits_of(x), '')
    assert 'only' not in table(data)
    monkeypatch.setattr(summary, 'MAX_VALUES', 4 * data.spec.num_dims)
    columns = ' and columns with one value' if shape == (3,) else ''
    assert f'  range{columns}: of the first 4 training examples only' in table(data).splitlines()
    assert 'training values 0 to 3' in table(data)


def test_copies_of_large_data_are_not_counted(monkeypatch):
    monkeypatch.setattr(summary, 'MAX_COMPARED', 10)
    data = Dataset('mine', Spec((3,), None, None), splits_of(np.zeros((10, 3))), '')
    assert 'not counted' in table(data)


def test_items_are_described_by_their_lengths():
    """Packed rows hold several: here 'ab', 'c' and 'abc'."""
    spec = Spec((4,), 4, None, symbols='\0abc')
    train = np.array([[1, 2, 0, 3, 0, 0], [1, 2, 3, 0, 0, 0]])
    other = np.array([[1, 2, 0, 0], [3, 0, 0, 0]])
    data = Dataset('lines', spec, {'train': {'x': train}, 'valid': {'x': other}}, '')
    lines = table(data).splitlines()
    assert lines[0] == 'lines: items of at most 3 symbols, 3 different ones'
    assert lines[3].split() == ['items', '3', '2']
    assert lines[4].strip() == 'training items have 1 to 3 symbols, with median 2'
    assert [line.split() for line in lines[5:7]] == [['symbols', *'123'], ['number', *'111']]
    lengths = summary.summary_of(data)['lengths']
    assert lengths['bins'] == [[1, 1, 1], [2, 2, 1], [3, 3, 1]]


def test_bins_of_lengths_hold_all_items():
    spec = Spec((101,), 2, None, symbols='\0a')
    x = np.arange(101) < np.arange(1, 101)[:, None]
    data = Dataset('lines', spec, {'train': {'x': x.astype(int)}}, '')
    bins = summary.item_lengths(data)['bins']
    assert len(bins) == summary.MAX_BINS and sum(count for *_, count in bins) == 100
    assert bins[0][0] == 1 and bins[-1][1] == 100


def test_items_are_counted_apart_from_the_rows_that_hold_them():
    """A packed row has several. Copies are those of items."""
    spec = Spec((3,), 3, None, symbols='\0ab')
    packed = np.array([[1, 0, 2, 1, 0], [1, 0, 1, 0, 0]])
    events = {'valid': {'x': np.array([[1, 0, 0]])}, 'test': {'x': np.array([[2, 2, 0]])}}
    data = Dataset('lines', spec, {'train': {'x': packed}, **events}, '')
    text = table(data)
    rows = [line.split() for line in text.splitlines()]
    assert ['examples', '2', '1', '1'] in rows and ['items', '4', '1', '1'] in rows
    assert 'repeat another one of their split: 2 in train' in text
    assert 'examples that training has too: 1 in valid' in text
    assert 'one value' not in text
    data = data._replace(splits={**data.splits, 'train': {'x': np.array([[1, 2, 0]])}})
    assert not [line for line in table(data).splitlines() if line.startswith('  items')]
