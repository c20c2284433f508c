"""Colours and erased squares."""

import numpy as np
from augmenting import applied, drawn

from atelier.data.augmentation_colours import LUMA, cut_out, recoloured
from atelier.data.augmentation_draws import Strengths

X = np.random.default_rng(0).uniform(0, 255, (2, 8, 6, 3)).astype(np.float32)
ALL = Strengths(brightness=0.2, contrast=0.5, saturation=0.5, hue=30.0, cutout=0.5)
close = lambda actual, expected: np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-3)


def recolour(x, strengths, **numbers):
    return applied(recoloured, x, strengths, 255.0, **numbers)


def test_nothing_applied_changes_no_bit():
    for transform, rest in ((recoloured, 255.0), (cut_out, 0.0)):
        np.testing.assert_array_equal(drawn(transform, X, ALL, rest, probability=0.0), X)
        assert np.mean(drawn(transform, X, ALL, rest) != X) > 0.1


def test_brightness_adds_a_share_of_the_range():
    close(recolour(X, Strengths(brightness=0.2), brightness=1.0), X + 51)


def test_contrast_multiplies_the_difference_from_the_mean_of_the_picture():
    mean = X.mean((1, 2, 3), keepdims=True)
    close(recolour(X, Strengths(contrast=1.0), contrast=0.0), mean + (X - mean) / 2)


def test_saturation_multiplies_the_difference_from_grey():
    grey = (X @ np.array(LUMA, np.float32))[..., None]
    close(recolour(X, Strengths(saturation=1.0), saturation=1.0), grey + 2 * (X - grey))


def test_a_third_of_a_turn_of_the_hue_permutes_the_colours():
    actual = recolour(X, Strengths(hue=120.0), hue=[1.0, 0.0])
    close(actual, [X[0][..., [2, 0, 1]], X[1][..., [1, 2, 0]]])


def test_greys_have_no_hue_and_no_saturation():
    grey = np.repeat(X[..., :1], 3, -1)
    close(recolour(grey, Strengths(saturation=0.5, hue=90.0), hue=0.9, saturation=0.1), grey)


def test_a_square_is_erased_within_the_picture():
    x = X[:, :, :4]
    erased = applied(cut_out, x, Strengths(cutout=0.5), (-1.0, -2.0, -3.0))
    is_erased = erased < 0
    assert is_erased[0].sum((0, 1)).tolist() == [4 * 2] * 3
    assert is_erased[:, 2:6].any(2).all() and not is_erased[:, :2].any()
    assert erased[0, 3, 2].tolist() == [-1, -2, -3]
    np.testing.assert_array_equal(np.where(is_erased, x, erased), x)
