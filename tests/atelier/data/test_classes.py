"""Classes: names, order, those that training has, and how options name them."""

import numpy as np
import pytest

from atelier.data import classes, dataset
from atelier.data.dataset import Spec
from configs.shared import common

NAMED = Spec((2,), 2, 3, class_names=('cat', 'dog', 'a\nb'))
NUMBERS = Spec((2,), 2, 3, class_names=('1', '2', '10'))
PLAIN = Spec((2,), 2, 3, left_out=(1,))


def load(path, **changes):
    config = common.common_config()
    config.data.update(name='arrays', path=str(path), **changes)
    return dataset.load(config)


@pytest.fixture
def npz(tmp_path):
    def write(**arrays):
        np.savez(tmp_path / 'data.npz', **arrays)
        return tmp_path / 'data.npz'

    return write


def labelled(label, **arrays):
    x = np.arange(len(label) * 3).reshape(-1, 3) % 250
    return dict(x=x.astype(np.uint8), label=np.asarray(label), **arrays)


def test_natural_order():
    names = ['b', 'a10', 'a2', '10', '2', 'A3', '', '02', 'a' + '9' * 5000]
    assert sorted(names, key=classes.natural)[:4] == ['', '02', '2', '10']
    in_order = sorted(['a10', 'A3', 'a2', 'b'], key=classes.natural)
    assert in_order == ['a2', 'A3', 'a10', 'b']


@pytest.mark.parametrize(
    ('spec', 'text', 'index'),
    [
        (NAMED, 'dog', 1),
        (NAMED, ' cat ', 0),
        (NAMED, '2', 2),
        (NUMBERS, '2', 1),
        (NUMBERS, '10', 2),
        (PLAIN, '2', 2),
    ],
)
def test_a_class_is_named_by_its_name_or_its_number(spec, text, index):
    assert classes.index_of(spec, text) == index
    assert classes.option_of(spec, 'label', text) == index


@pytest.mark.parametrize(
    ('spec', 'text', 'message'),
    [
        (NAMED, 'dgo', "did you mean 'dog'"),
        (NAMED, '3', r'choose of cat, dog, a\\nb'),
        (NUMBERS, '0', 'choose of 1, 2, 10'),
        (PLAIN, 'cat', 'choose of 0, 2'),
        (PLAIN, '9' * 50, 'there is no class'),
    ],
)
def test_a_class_that_does_not_exist_is_refused(complaint, spec, text, message):
    assert message.replace('\\\\', '\\') in complaint(classes.index_of, spec, text)


def test_classes_without_training_examples_are_unknown(npz):
    """Those without any example, and those that only the test split has."""
    file = npz(
        x_train=np.zeros((4, 2), np.uint8),
        label_train=np.array([1, 1, 3, 3]),
        x_valid=np.zeros((2, 2), np.uint8),
        label_valid=np.array([1, 3]),
        x_test=np.zeros((2, 2), np.uint8),
        label_test=np.array([1, 4]),
    )
    data = load(file)
    assert data.spec.known_classes == (1, 3) and data.spec.left_out == (0, 2, 4)
    assert data.splits['test']['label'].tolist() == [1, 4]
    earlier = load(file, classes='declared')
    assert earlier.spec.left_out == () and earlier.fingerprint() == data.fingerprint()


def test_names_of_classes_in_an_npz(npz, complaint):
    file = npz(**labelled([0, 1, 2] * 100, class_names=np.array(['cat', 'dog', 'cow'])))
    data = load(file)
    assert data.spec.class_names == ('cat', 'dog', 'cow')
    assert 'class_names' not in data.spec.format
    assert load(file, classes='declared').spec.class_names == ()
    without = load(file, without_classes=('dog',))
    assert without.spec.left_out == (1,) and 'without dog in training' in without.description
    assert {*without.splits['train']['label'].tolist()} == {0, 2}
    several = load(file, without_classes=('cow,dog',))  # as a flag gives them
    assert several.spec.left_out == (1, 2)
    line = complaint(load, file, without_classes=('cta',))
    assert 'without_classes=cta' in line and "'cat'" in line


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        (['a', 'b'], 'has 2 names, but labels go up to 2'),
        (['a', 'b', 'a'], "'a' stands there 2 times: give distinct texts"),
        (['a', 'b', ''], 'name 2 is empty: give distinct texts'),
        ([['a', 'b', 'c']], 'distinct texts'),
        ([1, 2, 3], 'distinct texts'),
        (['a', 'b', 'c' * 500], "ccc' has 500 characters, more than 200"),
    ],
)
def test_names_that_do_not_fit_are_refused(npz, complaint, names, message):
    assert message in complaint(load, npz(**labelled([0, 1, 2] * 9, class_names=np.array(names))))


def test_names_without_labels_are_refused(npz, complaint):
    file = npz(x=np.zeros((9, 2), np.uint8), class_names=np.array(['a']))
    assert 'and labels' in complaint(load, file, split_by='order')


@pytest.mark.parametrize(
    'shape',
    [(30, 3, 8, 8), (30, 1, 9, 6), (30, 2, 8, 8), (30, 4, 9, 5), (30, 3, 4, 5), (30, 1, 2, 5)],
)
def test_channels_first_is_refused(npz, complaint, shape):
    file = npz(x=np.arange(np.prod(shape)).reshape(shape).astype(np.uint8))
    line = complaint(load, file)
    assert 'numpy.moveaxis(x, 1, -1)' in line and "config.data.channels='last'" in line
    assert load(file, channels='last', split_by='order').spec.event_shape == shape[1:]


@pytest.mark.parametrize(
    'shape',
    [(30, 8, 8, 3), (30, 3, 8, 3), (30, 3, 3, 8), (30, 3, 8), (30, 3, 4, 4), (30, 5, 8, 8)],
)
def test_other_shapes_are_taken_as_they_are(npz, shape):
    file = npz(x=np.arange(np.prod(shape)).reshape(shape).astype(np.uint8))
    assert load(file, split_by='order').spec.event_shape == shape[1:]
