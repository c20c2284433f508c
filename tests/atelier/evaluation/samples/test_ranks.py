"""Statistics of ranks against SciPy, and their distribution if ranks are uniform."""

import numpy as np
import pytest
import scipy.stats

from atelier.evaluation.samples.ranks import band_of, counts_of, coverage_of, p_values

N, BINS, SAMPLES = 400, 10, 99


def test_counts_are_of_equal_bins():
    ranks = np.array([[0, 5], [1, 5], [2, 3], [5, 0]])
    np.testing.assert_array_equal(counts_of(ranks, 5, 3), [[2, 1, 1], [1, 1, 2]])
    every = np.arange(SAMPLES + 1)[:, None]
    np.testing.assert_array_equal(counts_of(every, SAMPLES, BINS), np.full((1, BINS), 10))


@pytest.mark.parametrize(('n', 'bins'), [(50, 5), (1000, 20), (100_000, 2)])
def test_the_band_is_that_of_a_binomial_distribution(n, bins):
    expected = scipy.stats.binom(n, 1 / bins).ppf([0.005, 0.995])
    assert band_of(n, bins) == tuple(expected)


def test_p_values_are_those_of_a_chi_square_test_and_uniform_for_uniform_ranks():
    ranks = np.random.default_rng(0).integers(0, SAMPLES + 1, (N, 300))
    counts = counts_of(ranks, SAMPLES, BINS)
    p_value = p_values(counts)
    expected = scipy.stats.chisquare(counts, axis=1).pvalue
    np.testing.assert_allclose(p_value, expected, rtol=1e-4, atol=1e-6)
    assert scipy.stats.kstest(p_value, 'uniform').pvalue > 0.01
    low, high = band_of(N, BINS)
    assert 0.98 < np.mean((counts >= low) & (counts <= high)) < 0.999


def test_coverage_is_the_share_of_central_ranks():
    levels = np.array([0.1, 0.5, 0.9, 1.0])
    for samples in (SAMPLES, 6):  # whose ranks divide none of the levels
        ranks = np.arange(samples + 1)[:, None]
        np.testing.assert_allclose(coverage_of(ranks, samples, levels)[:, 0], levels)
    middle = np.full((3, 2), SAMPLES // 2)
    assert (coverage_of(middle, SAMPLES, levels) == 1).all()
    assert (coverage_of(0 * middle, SAMPLES, levels)[:3] == 0).all()
