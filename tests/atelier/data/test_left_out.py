"""Classes left out of training: which examples remain, in memory and on disk, and refusals."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.data import dataset
from atelier.data.cache import cached, create_array
from atelier.data.left_out import leave_out
from atelier.training import input_pipeline
from configs.shared import common

NUM_CLASSES = 4


def splits_of(labels):
    """Returns splits in which x is the index of the example, counted over all splits."""
    splits, first = {}, 0
    for name, label in labels.items():
        x = np.arange(first, first + len(label), dtype=np.int32)[:, None]
        splits[name] = {'x': x, 'label': np.asarray(label, np.int32)}
        first += len(label)
    return splits


LABELS = st.lists(st.integers(0, NUM_CLASSES - 1), min_size=1, max_size=40)


@given(train=LABELS, valid=LABELS, test=LABELS, classes=st.sets(st.integers(0, 2), max_size=3))
def test_examples_of_other_classes_keep_their_order(train, valid, test, classes):
    splits = splits_of({'train': [*train, 3], 'valid': [3, *valid], 'test': test})
    remaining = leave_out(splits, tuple(classes), NUM_CLASSES)
    for name in ('train', 'valid'):
        whole = splits[name]
        indices = [i for i, label in enumerate(whole['label']) if label not in classes]
        for key in ('x', 'label'):
            np.testing.assert_array_equal(remaining[name][key], whole[key][indices])
    assert remaining['test'] is splits['test']


@pytest.fixture
def on_disk(cache):
    """Splits of 3,000 memory-mapped examples, like decoded images."""
    random = np.random.RandomState(0)
    x, label = random.randint(0, 256, (3000, 5, 2)).astype(np.uint8), random.randint(0, 4, 3000)

    def build(folder):
        create_array(folder, 'x', x.shape, np.uint8)[:] = x
        create_array(folder, 'label', label.shape, np.int32)[:] = label

    whole = cached('pictures', build)[1]
    cuts = {'train': slice(0, 2500), 'valid': slice(2500, 2800), 'test': slice(2800, 3000)}
    return {name: {key: array[cut] for key, array in whole.items()} for name, cut in cuts.items()}


def test_memory_mapped_data_stay_on_disk(on_disk, cache):
    remaining = leave_out(on_disk, (1, 3), NUM_CLASSES)
    entries = sorted(path.name for path in cache.iterdir())
    assert len(entries) == 3
    for name in ('train', 'valid'):
        is_remaining = np.isin(on_disk[name]['label'], [0, 2])
        for key in ('x', 'label'):
            assert isinstance(remaining[name][key], np.memmap)
            assert remaining[name][key].dtype == on_disk[name][key].dtype
            np.testing.assert_array_equal(remaining[name][key], on_disk[name][key][is_remaining])
    repeated = leave_out(on_disk, (1, 3), NUM_CLASSES)
    np.testing.assert_array_equal(repeated['train']['x'], remaining['train']['x'])
    assert sorted(path.name for path in cache.iterdir()) == entries
    other = leave_out(on_disk, (2,), NUM_CLASSES)
    assert set(np.unique(other['train']['label'])) == {0, 1, 3}


def test_other_data_of_the_same_size_are_another_entry(on_disk):
    first = leave_out(on_disk, (1,), NUM_CLASSES)
    changed = on_disk['train']['x'].copy()
    changed[0] = 255 - changed[0]
    second = leave_out({**on_disk, 'train': {**on_disk['train'], 'x': changed}}, (1,), NUM_CLASSES)
    assert not np.array_equal(first['train']['x'], second['train']['x'])


@pytest.mark.parametrize(
    ('classes', 'num_classes', 'message'),
    [
        ((1,), None, 'config.data.without_classes=1: these data have no labels'),
        ((4,), NUM_CLASSES, 'config.data.without_classes=4: classes are 0 to 3'),
        ((0, -1), NUM_CLASSES, 'config.data.without_classes=0,-1: classes are 0 to 3'),
        ((1.5,), NUM_CLASSES, 'classes are 0 to 3'),
        (('a',), NUM_CLASSES, 'classes are 0 to 3'),
        ((0, 1, 2), NUM_CLASSES, 'no valid example is left'),
        ((0, 1, 2, 3), NUM_CLASSES, 'no train example is left'),
    ],
)
def test_invalid_classes_to_leave_out_are_refused(complaint, classes, num_classes, message):
    splits = splits_of({'train': [0, 1, 2, 3], 'valid': [0, 1, 2], 'test': [3]})
    assert message in complaint(leave_out, splits, classes, num_classes)


# Settings in a config


def with_data(**changes):
    config = common.common_config()
    config.data.update(split_by='order', **changes)
    return config


@pytest.mark.parametrize('binarize', ['none', 'threshold', 'stochastic'])
def test_classes_are_left_out_with_every_binarisation(binarize):
    """The other examples keep their binarisation, also in the validation split."""
    without = dataset.load(with_data(binarize=binarize, without_classes=(9, 2)))
    whole = dataset.load(with_data(binarize=binarize))
    assert without.spec == whole.spec._replace(left_out=(2, 9))
    assert without.description == f'{whole.description}, without 9, 2 in training'
    assert without.size('test') == 447
    for name in ('train', 'valid'):
        is_remaining = ~np.isin(whole.splits[name]['label'], [2, 9])
        np.testing.assert_array_equal(
            without.splits[name]['x'], whole.splits[name]['x'][is_remaining]
        )
        assert without.fingerprint(name) != whole.fingerprint(name)
    assert without.fingerprint('test') == whole.fingerprint('test')


def test_moments_are_those_of_the_remaining_examples(tmp_path):
    label = np.arange(100) % 2
    np.savez(tmp_path / 'table.npz', x=np.where(label, 50.0, 0)[:, None] + [0.0, 1], label=label)
    config = with_data(name='arrays', path=str(tmp_path / 'table.npz'), without_classes=(1,))
    data = dataset.load(config)
    assert data.spec.mean == (0, 1)
    assert data.spec.num_classes == 2


def test_leaving_out_classes_of_unlabelled_data_is_refused(complaint, tmp_path):
    np.savez(tmp_path / 'table.npz', x=np.zeros((50, 2)))
    config = with_data(name='arrays', path=str(tmp_path / 'table.npz'), without_classes=(1,))
    assert 'no labels' in complaint(dataset.load, config)


def test_minibatches_are_streamed_from_the_remaining_examples_on_disk(tiny_run, on_disk):
    """Streaming gives the minibatches of arrays in memory, and none has an excluded class."""
    run = tiny_run()
    remaining = leave_out(on_disk, (1, 3), NUM_CLASSES)
    in_memory = {
        name: {k: np.array(v) for k, v in part.items()} for name, part in remaining.items()
    }
    chunks = [
        input_pipeline.reader(
            run._replace(data=run.data._replace(splits=splits)), 3, 5, jax.devices()
        )(0)
        for splits in (remaining, in_memory)
    ]
    for name in ('x', 'label'):
        np.testing.assert_array_equal(*(chunk[name] for chunk in chunks))
    assert set(np.unique(chunks[0]['label'])) == {0, 2}
