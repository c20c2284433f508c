"""The order of TFDS, against TFDS itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.data import images
from atelier.data.decoding import ImageSplit
from atelier.data.original.known import KNOWN
from atelier.data.original.pictures import EncodedPictures, Pictures
from atelier.data.well_known_splits import TFDS_SPLITS, in_tfds_order, reordered, tfds_order

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
def test_pictures_are_decoded_to_the_same_values(name):
    known = KNOWN[name]
    x = np.random.default_rng(0).integers(0, 256, (7, *known.image_shape), np.uint8)
    split = in_tfds_order(name, {'test': Pictures(x, np.arange(7))})['test']
    stored = split.read(range(7))
    decoded = [images.decode(s.name, s.raw, known.image_shape, False) for s in stored]
    order = tfds_order('test', range(7))
    np.testing.assert_array_equal(decoded, x[order])
    assert [s.label for s in stored] == order


def test_encoded_pictures_are_ordered_by_their_names():
    names = [f'{i}.jpg' for i in range(9)]
    splits = in_tfds_order('celeb_a', {'valid': EncodedPictures(names, str.encode)})
    raw = [image.raw.decode() for image in splits['valid'].read(range(9))]
    assert raw == [names[i] for i in tfds_order('valid', names)]


def test_other_splits_are_ordered_by_their_rows():
    part = ImageSplit(5, list)
    assert in_tfds_order('mnist', {'test': part})['test'].read(range(5)) == tfds_order(
        'test', range(5)
    )
