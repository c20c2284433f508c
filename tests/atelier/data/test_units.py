"""Examples in the units of another data set: the same values, exact levels, or a refusal."""

import numpy as np
import pytest

from atelier.data.dataset import Spec
from atelier.data.units import converter, warn_of_units
from atelier.errors import UserError

SHAPE = (2, 2)
REAL, BINARY, GREY = Spec(SHAPE, None, None), Spec(SHAPE, 2, None), Spec(SHAPE, 256, None)
NOISY = Spec(SHAPE, None, None, dequantized_levels=256)


def test_real_values_stay_as_they_are_whatever_their_moments():
    x = np.full((1, *SHAPE), 0.9, np.float32)
    convert = converter(REAL._replace(mean=0.9, std=0.1), REAL._replace(mean=0.5, std=0.3))
    np.testing.assert_array_equal(convert(x), x)


@pytest.mark.parametrize(
    ('mean', 'std', 'is_told'),
    [
        (0.9, 0.03, False),
        (128.0, 80.0, True),
        (0.002, 0.001, True),
        (1.0, 0.0, False),
        (3.0, 2.0, False),
    ],
)
@pytest.mark.parametrize('num_columns', [0, 2])
def test_real_values_in_other_units_are_told(caplog, mean, std, is_told, num_columns):
    """Of one moment for all values, or one for each column."""
    one = lambda value: (value,) * num_columns or value
    warn_of_units(one(mean), one(std), REAL._replace(mean=one(0.5), std=one(0.3)))
    assert ('in the same units' in caplog.text) == is_told


def test_levels_are_converted_exactly():
    x = np.array([[0, 1], [1, 0]], np.float32)[None]
    np.testing.assert_array_equal(converter(BINARY, GREY)(x), 255 * x)
    levels = np.array([[0, 255], [7, 128]], np.float32)[None]
    np.testing.assert_array_equal(converter(NOISY, GREY)(levels + 0.9), levels)
    np.testing.assert_array_equal(converter(NOISY, GREY)(np.full((1, 2, 2), 256.0)), 255)
    np.testing.assert_array_equal(converter(GREY, GREY)(levels), levels)


@pytest.mark.parametrize(
    ('source', 'target', 'words'),
    [
        (GREY, BINARY, '256 levels cannot be converted to 2 levels'),
        (GREY, NOISY, '256 levels cannot be converted to 256 dequantized levels'),
        (REAL, GREY, 'real values cannot be converted to 256 levels'),
        (BINARY, REAL, '2 levels cannot be converted to real values'),
        (GREY, GREY._replace(event_shape=(4,)), r'examples of shape \(2, 2\) are not of \(4,\)'),
    ],
)
def test_what_has_no_exact_conversion_is_refused(source, target, words):
    with pytest.raises(UserError, match=words):
        converter(source, target)
