"""The order of TFDS, against TFDS itself, and the checks of pictures and labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.data import images
from atelier.data.decoding import ImageSplit
from atelier.data.original.known import KNOWN
from atelier.data.original.order import (
    TFDS_SPLITS,
    array_split,
    check_labels,
    reordered,
    tfds_order,
)

KEYS = st.one_of(
    st.integers(0, 300).map(lambda n: list(range(n))),
    st.lists(st.from_regex(r'[0-9]{6}\.jpg', fullmatch=True), unique=True, max_size=40),
)


@given(st.sampled_from(sorted(TFDS_SPLITS)), KEYS)
def test_the_order_is_that_of_tfds(tmp_path_factory, split, keys):
    from tensorflow_datasets.core.shuffle import Shuffler

    shuffler = Shuffler(tmp_path_factory.mktemp('shuffler'), TFDS_SPLITS[split])
    for index, key in enumerate(keys):
        shuffler.add(key, str(index).encode())
    assert tfds_order(split, keys) == [int(data) for _, data in shuffler]


def test_reordered():
    images_of = lambda indices: [f'picture {i}' for i in indices]
    split = reordered(ImageSplit(4, images_of), [2, 0, 3])
    assert split.count == 3
    assert split.read([0, 2]) == ['picture 2', 'picture 3']


@pytest.mark.parametrize('name', ['mnist', 'cifar10'])
def test_pictures_are_decoded_to_the_same_values(tmp_path, name):
    known = KNOWN[name]
    x = np.random.default_rng(0).integers(0, 256, (7, *known.image_shape), np.uint8)
    split = array_split(known, 'test', x, np.arange(7), tmp_path)
    stored = split.read(range(7))
    decoded = [images.decode(s.name, s.raw, known.image_shape, False) for s in stored]
    order = tfds_order('test', range(7))
    np.testing.assert_array_equal(decoded, x[order])
    assert [s.label for s in stored] == order


def test_labels_of_another_set_are_refused(tmp_path, complaint):
    mnist, fashion = KNOWN['mnist'], KNOWN['fashion_mnist']
    label = np.array(mnist.first_labels)
    check_labels(mnist, 'train', label, 20, tmp_path)
    line = complaint(check_labels, fashion, 'train', label, 20, tmp_path)
    assert 'holds the labels of mnist, not of fashion_mnist: fetch the files of fashion' in line
    check_labels(fashion, 'test', label, 20, tmp_path)  # only the training labels are compared


@pytest.mark.parametrize(
    'label',
    [
        None,
        np.zeros(3),
        np.zeros((3, 1), int),
        np.arange(4),
        np.array([0, 1, -1]),
        np.array([0, 1, 10]),
    ],
)
def test_labels_that_are_no_classes_are_refused(tmp_path, complaint, label):
    assert 'is not mnist' in complaint(check_labels, KNOWN['mnist'], 'test', label, 3, tmp_path)
