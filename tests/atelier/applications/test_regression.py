"""Linear regression of codes on a number, and of the number on codes: against planted truth."""

import numpy as np
import pytest

from atelier.applications._regression import correlation, r_squared, regression_of, slope


def planted(n, noise=0.0, latent=6, seed=0):
    """Codes [n, latent] = number * direction + another factor + noise; returns all three."""
    random = np.random.RandomState(seed)
    number, other = 40 + 10 * random.randn(n), random.randn(n, 1)
    direction, aside = random.randn(2, latent)
    codes = number[:, None] * direction + other * aside + noise * random.randn(n, latent)
    return codes, number, direction


def test_a_planted_direction_is_recovered():
    codes, number, direction = planted(20000, noise=0.5)
    fit = regression_of(codes, number, 6)
    np.testing.assert_allclose(fit.direction, direction, atol=0.005)


@pytest.mark.parametrize('n', [4, 500])  # fewer examples than dimensions, and more
def test_a_step_adds_to_what_is_read_what_was_asked(n):
    codes, number, _ = planted(n, noise=1.0)
    fit = regression_of(codes, number, 6)
    read = fit.read(codes[:3]), fit.read(codes[:3] + 7 * fit.direction)
    np.testing.assert_allclose(read[1] - read[0], 7)


def test_without_noise_the_number_is_read_exactly():
    codes, number, _ = planted(200)
    others, expected, _ = planted(200)
    fit = regression_of(codes, number, 6)
    np.testing.assert_allclose(fit.read(others), expected, atol=0.1)
    assert r_squared(fit.predicted(others), expected) > 0.999


def test_r_squared_is_the_variance_explained():
    """One dimension: code = number + noise of the number's variance, of which half is explained."""
    random = np.random.RandomState(1)
    number = random.randn(40000)
    codes = (number + random.randn(40000))[:, None]
    fit = regression_of(codes, number, 1)
    predicted = fit.predicted(codes)
    assert abs(r_squared(predicted, number) - 0.5) < 0.01
    assert abs(correlation(predicted, number) - np.sqrt(0.5)) < 0.01
    assert abs(fit.shrinkage - 0.5) < 0.01


def test_of_two_sets_the_direction_is_the_difference_of_means():
    codes, _, _ = planted(30)
    is_target = np.arange(30) % 3 == 0
    fit = regression_of(codes, is_target.astype(float), 6)
    means = codes[is_target].mean(0) - codes[~is_target].mean(0)
    np.testing.assert_allclose(fit.direction, means, atol=1e-9)


def test_dimensions_that_are_not_read_move_too():
    codes, number, direction = planted(5000)
    fit = regression_of(codes, number, 2)
    assert fit.weights.shape == (2,)
    np.testing.assert_allclose(fit.direction, direction, atol=0.02)


def test_constant_codes_tell_nothing():
    fit = regression_of(np.ones((20, 3)), np.arange(20.0), 3)
    np.testing.assert_array_equal(fit.read(np.zeros((2, 3))), 9.5)
    assert correlation(fit.predicted(np.ones((20, 3))), np.arange(20.0)) is None


def test_what_has_no_value_is_none():
    assert r_squared(np.ones(3), np.ones(3)) is None
    assert r_squared(np.ones(0), np.ones(0)) is None and correlation(np.ones(0), np.ones(0)) is None
    assert slope(np.ones((2, 1)), np.ones(1)) is None
    assert slope(np.array([[0.0, 1, 2], [5, 8, 11]]), np.array([0.0, 1, 2])) == pytest.approx(2)
