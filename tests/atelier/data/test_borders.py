"""The background of training pictures, on the scale of their levels."""

import numpy as np
import pytest

from atelier.data.borders import background, with_background
from atelier.data.spec import Spec

GREY = Spec((4, 4, 1), 256, None)


def bordered(value, dtype=np.uint8, shape=(4, 4, 1)):
    x = np.full((3, *shape), value, dtype)
    x[:, 1:-1, 1:-1] = 7
    return x


def test_half_of_the_border_has_to_be_of_one_value():
    x = bordered(255)
    assert background(x, (4, 4, 1)) == (255.0,)
    x[:, :2] = np.arange(24).reshape(3, 2, 4, 1)  # 18 of 36 pixels of the border
    assert background(x, (4, 4, 1)) == (255.0,)
    x[0, 3, 0] = 3
    assert background(x, (4, 4, 1)) is None
    assert background(x[:0], (4, 4, 1)) is None


@pytest.mark.parametrize(
    ('spec', 'value', 'stored_levels', 'expected'),
    [
        (GREY, 255, 256, (1.0,)),
        (GREY, 51, 256, (0.2,)),
        (GREY._replace(levels=2), 200, 256, (1.0,)),  # binarised
        (GREY._replace(levels=2), 50, 256, (0.0,)),
        (GREY._replace(levels=1), 0, 1, (0.0,)),
        (Spec((4, 4), 17, None), 8, 17, (0.5,)),
        (Spec((4, 4, 3), 256, None), (255, 0, 51), 256, (1.0, 0.0, 0.2)),
        (GREY._replace(levels=None), 255, None, None),  # real values
        (Spec((16,), 256, None), 255, 256, None),
        (Spec((16, 1), 256, None), 255, 256, None),  # a signal
    ],
)
def test_it_is_a_level_of_pictures_from_0_to_1(spec, value, stored_levels, expected):
    shape = spec.image_shape or (4, 4, 1)
    x = (
        np.full((3, *spec.event_shape), value)
        if len(spec.event_shape) < 3
        else bordered(value, shape=shape)
    )
    assert with_background(spec, x, stored_levels).background == expected
