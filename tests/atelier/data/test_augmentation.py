"""A whole augmentation of stored examples."""

import jax
import numpy as np
import pytest
from augmenting import keys_of

from atelier.data.augmentation import Augmentation
from atelier.data.augmentation_draws import Strengths

STRONG = Strengths(0.2, 30.0, 0.3, 0.3, 0.3, 0.5, 0.0, 0.0, 0.3, True)
X = np.random.default_rng(0).integers(0, 17, (5, 8, 8, 1)).astype(np.uint8)


def augmented(x, levels, probability=1.0, rows=slice(None)):
    augment = Augmentation(STRONG, probability, (0.0,), levels, 16.0, (0.0,))
    apply = jax.jit(lambda x, keys: augment(x, keys))
    return np.asarray(apply(x[rows], keys_of(5)[rows]))


@pytest.mark.parametrize('levels', [17, 2])
def test_levels_stay_levels(levels):
    x = np.minimum(X, levels - 1)
    y = augmented(x, levels)
    assert y.dtype == np.float32 and y.shape == x.shape
    np.testing.assert_array_equal(y, np.round(y))
    assert y.min() >= 0 and y.max() == levels - 1
    assert np.mean(y != x) > 0.2


def test_real_values_are_interpolated():
    y = augmented(X.astype(np.float32), None)
    assert np.mean(y != np.round(y)) > 0.3


@pytest.mark.parametrize('levels', [17, None])
def test_nothing_applied_changes_no_bit(levels):
    x = X if levels else np.random.default_rng(1).standard_normal(X.shape).astype(np.float32)
    np.testing.assert_array_equal(augmented(x, levels, probability=0.0), x.astype(np.float32))


def test_pictures_without_an_axis_of_channels_are_the_same():
    np.testing.assert_array_equal(augmented(X[..., 0], 17), augmented(X, 17)[..., 0])


def test_a_picture_depends_on_its_own_key_alone():
    part = augmented(X, 17, rows=slice(2, 4))
    np.testing.assert_array_equal(augmented(X, 17)[2:4], part)
