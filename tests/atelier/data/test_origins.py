"""The file and the row of each example, whatever made the splits."""

import numpy as np
import pytest
from PIL import Image
from support import recipe_and_config

from atelier.data import dataset


def loaded(name, path, **changes):
    _, config = recipe_and_config(f'{name},debug', data__path=str(path), **changes)
    return dataset.load(config)


@pytest.mark.parametrize('rule', ['content', 'order'])
def test_arrays_know_their_row_in_the_file(tmp_path, rule):
    x = np.random.RandomState(0).randint(0, 200, (60, 4, 4)).astype(np.uint8)
    np.savez(tmp_path / 'mine.npz', x=x, label=np.arange(60) % 3)
    changes = dict(data__split_by=rule, data__without_classes=(2,))
    data, rows = loaded('arrays', tmp_path / 'mine.npz', **changes), []
    for split in ('train', 'valid', 'test'):
        source = data.origin_of(split)
        assert set(source['file']) == {'mine.npz'}
        np.testing.assert_array_equal(x[source['row']], data.splits[split]['x'])
        assert set(data.splits[split]) == {'x', 'label'}
        rows += source['row'].tolist()
    assert len(rows) == len(set(rows)) < 60  # class 2 is left out


def test_own_splits_have_rows_of_their_own_array(tmp_path):
    x = np.arange(80, dtype=np.uint8).reshape(20, 2, 2)
    np.savez(tmp_path / 'mine.npz', x_train=x, x_test=x[5:9])
    data = loaded('arrays', tmp_path / 'mine.npz')
    source = data.origin_of('test', np.array([1, 3]))
    assert set(source['file']) == {'mine.npz:x_test'}
    np.testing.assert_array_equal(x[5:9][source['row']], data.splits['test']['x'][[1, 3]])


def test_pictures_know_their_file(tmp_path, cache):
    for i in range(30):
        file = tmp_path / 'pictures' / 'ab'[i % 2] / f'{i}.png'
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4), 8 * i, np.uint8)).save(file)
    for _ in range(2):  # decoded now, then from the cache
        data = loaded('folder', tmp_path / 'pictures', data__image_shape=(4, 4, 1))
        for split in ('train', 'valid', 'test'):
            source, x = data.origin_of(split), data.splits[split]['x']
            assert not source['row'].any()
            assert [f'{"ab"[v // 8 % 2]}/{v // 8}.png' for v in x[:, 0, 0, 0]] == [*source['file']]


def test_embedded_data_have_the_split_and_the_index():
    _, config = recipe_and_config('digits,debug')
    source = dataset.load(config).origin_of('test', np.array([7]))
    assert (*source['file'], *source['row']) == ('digits test', 7)
