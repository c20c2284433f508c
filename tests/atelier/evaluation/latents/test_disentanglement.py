"""The mutual information gap: exact cases, scikit-learn's mutual information, and refusals."""

import itertools
import math

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from atelier.evaluation.latents import disentanglement
from atelier.evaluation.latents.disentanglement import (
    binned,
    mutual_information,
    mutual_information_gap,
)

GRID = np.array(list(itertools.product(range(3), range(5), range(4), range(2))))


def test_the_factors_themselves_have_a_gap_of_one():
    """For codes in any order and scale, and with constant dimensions."""
    codes = np.concatenate([-3.7 * GRID[:, ::-1] + 1, np.zeros((len(GRID), 2))], axis=1)
    np.testing.assert_allclose(mutual_information_gap(codes, GRID), 1, rtol=1e-12)


def test_a_factor_encoded_by_two_dimensions_has_no_gap():
    np.testing.assert_allclose(
        mutual_information_gap(np.tile(GRID, 2).astype(float), GRID), 0, atol=1e-12
    )


def test_rotated_codes_have_no_gap():
    """Each dimension has the same information about both factors."""
    factors = np.array(list(itertools.product(range(10), range(10))))
    a, b = factors.T - 4.5
    turned = np.stack([a + b, a - b], 1)
    assert np.all(mutual_information_gap(turned, factors) < 1e-9)


def test_a_partial_gap_has_its_closed_form():
    """For two fair bits, dimension 0 is the first bit and dimension 1 is their OR."""
    bits = np.array(list(itertools.product(range(2), range(2))))
    codes = np.stack([bits[:, 0], bits.max(1)], 1).astype(float)
    either = math.log(2) - 0.75 * (math.log(3) * 1 - 2 / 3 * math.log(2))  # I(bit; or), in nats
    np.testing.assert_allclose(
        mutual_information_gap(codes, bits),
        [1 - either / math.log(2), either / math.log(2)],
        rtol=1e-12,
    )


def test_random_codes_have_a_gap_near_zero():
    random = np.random.RandomState(0)
    factors = GRID[random.randint(len(GRID), size=20_000)]
    gaps = mutual_information_gap(random.normal(size=(20_000, 6)), factors)
    assert gaps.shape == (4,)
    assert np.all((gaps >= 0) & (gaps < 0.002))


def test_a_single_dimension_has_the_gap_of_its_own_factor():
    codes = GRID[:, 1:2].astype(float)
    np.testing.assert_allclose(mutual_information_gap(codes, GRID), [0, 1, 0, 0], atol=1e-12)


def test_mutual_information_equals_scikit_learns():
    random = np.random.RandomState(1)
    a = random.randint(-2, 9, size=(500, 3))
    b = np.stack([a[:, 0] // 3, random.randint(4, size=500) + a[:, 1], a[:, 2] % 2], 1)
    expected = [[mutual_info_score(u, v) for v in b.T] for u in a.T]
    np.testing.assert_allclose(mutual_information(a, b), expected, atol=1e-12)


def test_bins_have_equal_widths_and_include_their_ends():
    codes = np.stack([np.linspace(-1, 3, 9), np.full(9, 7.0)], 1)
    assert binned(codes, 4)[:, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 3]
    assert binned(codes, 4)[:, 1].tolist() == [0] * 9
    values = np.random.RandomState(2).normal(size=(1000, 1))
    counts, _ = np.histogram(values, disentanglement.NUM_BINS)
    assert np.bincount(binned(values, 20)[:, 0], minlength=20).tolist() == counts.tolist()


def test_factors_without_entropy_are_refused():
    with pytest.raises(ValueError, match='no entropy'):
        mutual_information_gap(GRID.astype(float), np.zeros_like(GRID))
