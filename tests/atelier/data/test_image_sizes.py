"""The largest images for which a quadratic need is small enough."""

import itertools
import math

import pytest

from atelier.data.dataset import Spec
from atelier.data.image_sizes import image_advice, largest_image


@pytest.mark.parametrize('shape', [(64, 64, 3), (96, 64, 1), (28, 28)])
def test_the_largest_image_is_small_enough_and_no_larger_one_is(shape):
    """Pairs of values, counted: those of the returned shape are available, one more pixel's not."""
    spec = Spec(shape, 256, None)
    for available in (10**4, 10**6, 10**7):
        needed = spec.num_dims**2
        if available >= needed:
            continue
        height, width, channels = largest_image(spec, needed, available)
        assert (height * width * channels) ** 2 <= available
        assert ((height + 1) * (width + 1) * channels) ** 2 > available
        assert abs(height / width - spec.image_shape[0] / spec.image_shape[1]) <= 1 / width


def test_a_need_that_grows_more_slowly_is_met_too():
    spec = Spec((64, 64, 3), 256, None)
    for needed, available in itertools.product((100.0, 1e6), (1.0, 50.0)):
        smaller = math.prod(largest_image(spec, needed, available))
        assert needed * smaller**2 / spec.num_dims**2 <= available


def test_none_where_no_image_can_be_named():
    assert largest_image(Spec((64, 64, 3), 256, None), 10.0, 10.0) is None  # all are small enough
    assert largest_image(Spec((12,), 256, None), 10.0, 1.0) is None
    assert largest_image(Spec((8, 8, 1), 256, None), 1e9, 1.0) is None
    assert image_advice(Spec((12,), 256, None), 10.0, 1.0) == ''


def test_the_advice_is_a_flag():
    advice = image_advice(Spec((64, 64, 3), 256, None), 256.0, 1.0)
    assert advice == '; images of 16x16x3 are small enough (--config.data.image_shape=16,16,3)'
