"""Frechet and kernel distances of sets with known distances."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.evaluation.samples.distances import frechet_distance, kernel_distance


def normal(seed, n, d, shift=0.0, scale=1.0):
    return shift + scale * np.random.RandomState(seed).normal(size=(n, d))


def test_the_frechet_distance_of_a_set_to_itself_is_zero():
    x = normal(0, 300, 5)
    assert frechet_distance(x, x[::-1]) == pytest.approx(0, abs=1e-9)


def test_the_frechet_distance_of_a_shift_is_its_squared_length():
    x = normal(0, 100, 3)
    assert frechet_distance(x, x + [3.0, 4.0, 0.0]) == pytest.approx(25)


def test_the_frechet_distance_of_commuting_covariances():
    """The distance is (s - 1)^2 tr C plus the squared shift of the mean."""
    x = normal(0, 500, 4, shift=1.0)
    move = np.sum((2 * x.mean(0) - x.mean(0)) ** 2)
    assert frechet_distance(x, 3 * x - x.mean(0)) == pytest.approx(
        4 * np.trace(np.cov(x, rowvar=False)) + move, rel=1e-6
    )


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), d=st.integers(1, 6))
def test_the_frechet_distance_of_other_covariances_equals_scipys(seed, d):
    random = np.random.RandomState(seed)
    x = random.normal(size=(50, d)) @ random.normal(size=(d, d)) + 1
    y = random.normal(size=(40, d)) @ random.normal(size=(d, d))
    c, e = (np.atleast_2d(np.cov(a, rowvar=False)) for a in (x, y))
    root = scipy.linalg.sqrtm(c @ e).real
    reference = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(c + e - 2 * root)
    assert frechet_distance(x, y) == pytest.approx(reference, rel=1e-5, abs=1e-6)
    assert frechet_distance(y, x) == pytest.approx(reference, rel=1e-5, abs=1e-6)


def test_the_frechet_distance_of_fewer_examples_than_features():
    """The covariance is singular."""
    x = normal(0, 10, 30)
    assert frechet_distance(x, x + 1) == pytest.approx(30)


def test_the_kernel_distance_of_one_distribution_is_zero_on_average():
    estimates = [
        kernel_distance(normal(seed, 400, 3), normal(seed + 1000, 400, 3), block=100)
        for seed in range(30)
    ]
    means = np.array([e.mean for e in estimates])
    assert abs(means.mean()) < 4 * means.std(ddof=1) / np.sqrt(30)
    assert means.min() < 0  # unbiased estimates may be negative
    spread = np.mean([e.standard_error for e in estimates])
    assert spread == pytest.approx(means.std(ddof=1), rel=0.5)


def test_the_kernel_distance_is_its_expectation():
    """In one dimension, E (a b + 1)^3 is a polynomial in the moments."""
    n, shift = 20_000, 0.5
    x, y = normal(0, n, 1), normal(1, n, 1, shift=shift)
    moments = lambda m: np.array([1, m, m**2 + 1, m**3 + 3 * m])
    expected = lambda m1, m2: np.sum(np.array([1, 3, 3, 1]) * moments(m1) * moments(m2))
    expectation = expected(0, 0) + expected(shift, shift) - 2 * expected(0, shift)
    estimate = kernel_distance(x, y, block=500)
    assert abs(estimate.mean - expectation) < 4 * estimate.standard_error
    assert estimate.standard_error < 0.1 * expectation


def test_the_standard_error_of_one_block_is_the_spread_of_its_estimates():
    estimates = [kernel_distance(normal(s, 60, 2), normal(s + 999, 60, 2, 1.0)) for s in range(200)]
    spread = np.std([e.mean for e in estimates])
    assert np.mean([e.standard_error for e in estimates]) == pytest.approx(spread, rel=0.2)


def test_the_jackknife_leaves_out_pairs():
    x, y = normal(0, 12, 2), normal(1, 12, 2, 0.5)
    without = [kernel_distance(np.delete(x, i, 0), np.delete(y, i, 0)).mean for i in range(len(x))]
    jackknife = np.sqrt((len(x) - 1) * np.var(without))
    assert kernel_distance(x, y).standard_error == pytest.approx(jackknife, rel=1e-9)


@pytest.mark.parametrize(
    'call',
    [
        lambda: frechet_distance(normal(0, 1, 2), normal(0, 9, 2)),
        lambda: kernel_distance(normal(0, 2, 2), normal(0, 9, 2)),
    ],
)
def test_too_few_examples_are_refused_in_one_line(complaint, call):
    assert 'examples' in complaint(call)
