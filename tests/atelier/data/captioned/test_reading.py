"""Scenes are read back from their pixels, also noisy, darker and blurred ones."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.data.captioned.drawing import draw
from atelier.data.captioned.random_scenes import random_examples
from atelier.data.captioned.reading import components, read
from atelier.data.captioned.scenes import COLOURS, SHAPES, SIDE, SIZES, Object


@functools.cache
def scenes():
    """500 scenes, of one or two objects with seen and unseen pairs."""
    generator = np.random.RandomState(7)
    kinds = [(number, is_unseen) for number in (1, 2) for is_unseen in (False, True)]
    return [each.scene for kind in kinds for each in random_examples(generator, 125, *kind)]


def rate(x):
    """The fraction of pictures in which all is read as it was drawn."""
    pairs = zip(read(x), scenes(), strict=True)
    return np.mean([{*found} == {*scene} for found, scene in pairs])


@st.composite
def objects(draw_one):
    size = draw_one(st.sampled_from([*SIZES]))
    first = st.integers(0, SIDE - SIZES[size])
    names = (draw_one(st.sampled_from([*each])) for each in (COLOURS, SHAPES))
    return Object(*names, size, draw_one(first), draw_one(first))


@settings(max_examples=40, deadline=None)
@given(each=objects())
def test_every_object_is_read_as_it_was_drawn(each):
    assert read(draw([(each,)])) == [(each,)]


def test_every_scene_is_read_as_it_was_drawn():
    assert rate(draw(scenes())) == 1


@pytest.mark.parametrize(('std', 'least'), [(20, 0.99), (30, 0.97)])
def test_noise_does_little_harm(std, least):
    noise = np.random.RandomState(1).normal(0, std, (500, SIDE, SIDE, 3))
    assert rate(draw(scenes()) + noise) >= least


def test_much_noise_does_harm():
    """What is read depends on the pixels."""
    noise = np.random.RandomState(1).normal(0, 80, (500, SIDE, SIDE, 3))
    assert rate(draw(scenes()) + noise) < 0.5


def test_darker_paler_and_blurred_pictures_are_read():
    x = draw(scenes()).astype(np.float64)
    mixed = np.full((3, 3), 0.1) + 0.7 * np.eye(3)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    near = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]
    for changed in (0.7 * x, 0.8 * x + 25, x @ mixed, 0.6 * x + 0.1 * near):
        assert rate(changed) >= 0.99


def test_empty_pictures_and_specks_have_no_objects():
    x = np.zeros((2, SIDE, SIDE, 3), np.uint8)
    x[1, 3:5, 3:5] = 255
    assert read(x) == [(), ()]
    assert read(x[:0]) == []


def test_an_object_of_another_colour_or_shape_is_none_that_is_drawn():
    x = np.zeros((3, SIDE, SIDE, 3), np.uint8)
    x[0, 2:7, 3:8] = 255  # white
    x[1, 2:7, 3:8] = 255, 128, 128  # pink
    x[2, 2:4, :, 0] = 255  # a bar
    (white,), (pink,), (bar,) = read(x)
    for each in (white, pink):
        assert each == Object(None, 'square', 'small', 3, 2)
    assert (bar.colour, bar.shape, bar.size, bar.place) == ('red', None, None, None)


def test_pixels_are_connected_to_their_eight_neighbours():
    is_bright = np.zeros((1, SIDE, SIDE), bool)
    spiral = [(0, 0), (1, 1), (2, 0), (3, 1)]
    for row, column in [*spiral, (9, 9), (9, 10), (15, 15)]:
        is_bright[0, row, column] = True
    label = components(is_bright)[0]
    assert len(np.unique(label)) == 4  # three sets, and dark pixels
    assert len({label[place] for place in spiral}) == 1
    np.testing.assert_array_equal(label > 0, is_bright[0])
