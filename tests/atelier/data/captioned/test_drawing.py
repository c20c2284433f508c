"""What is drawn: areas, extents and flat colours."""

import itertools

import numpy as np
import pytest

from atelier.data.captioned.drawing import draw, form, templates
from atelier.data.captioned.scenes import COLOURS, SHAPES, SIZES, Object

AREAS = {'circle': np.pi / 4, 'square': 1, 'triangle': 1 / 2, 'cross': 5 / 9}  # of the square

every_form = pytest.mark.parametrize(('shape', 'size'), [*itertools.product(SHAPES, SIZES)])


@every_form
def test_areas_are_those_of_the_shapes(shape, size):
    """Within 0.05 of the square: a cross has arms of a whole number of parts of pixels."""
    area = AREAS[shape] * SIZES[size] ** 2
    assert form(shape, size).sum() == pytest.approx(area, abs=0.05 * SIZES[size] ** 2)


@every_form
def test_a_shape_reaches_all_sides_of_its_square_and_is_its_own_mirror_image(shape, size):
    covered = form(shape, size)
    assert all(side.max() >= 0.5 for side in (covered[0], covered[-1], covered[:, 0]))
    np.testing.assert_array_equal(covered, covered[:, ::-1])
    if shape != 'triangle':
        np.testing.assert_array_equal(covered, covered.T)


def test_objects_are_drawn_in_their_colours_at_their_positions_on_black():
    scene = (Object('yellow', 'square', 'small', 1, 2), Object('blue', 'circle', 'large', 9, 8))
    (x,) = draw([scene])
    expected = np.zeros((16, 16, 3))
    expected[2:7, 1:6] = COLOURS['yellow']
    expected[8:15, 9:16, 2] = np.round(255 * form('circle', 'large'))
    np.testing.assert_array_equal(x, expected)


def test_there_is_a_template_for_each_shape_size_and_position():
    names, covered = templates()
    assert len({*names}) == len(names) == 4 * (12**2 + 10**2)
    for k in (0, 500, len(names) - 1):
        x = draw([(Object('red', *names[k]),)])
        np.testing.assert_allclose(x[0, ..., 0].ravel() / 255, covered[k], atol=0.5 / 255)
