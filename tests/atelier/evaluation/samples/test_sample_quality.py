"""Distances, neighbours and modes on sets whose answers are known."""

import numpy as np
import pytest
import scipy.linalg
import sklearn.neighbors
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.data.toy import DRAWS, MIXTURES, MODES
from atelier.evaluation.samples import neighbours
from atelier.evaluation.samples.distances import frechet_distance, kernel_distance
from atelier.evaluation.samples.modes import count_modes
from atelier.evaluation.samples.neighbours import manifolds, memorisation_rate, nearest


def normal(seed, n, d, shift=0.0, scale=1.0):
    return shift + scale * np.random.RandomState(seed).normal(size=(n, d))


# Frechet


def test_the_frechet_distance_of_a_set_to_itself_is_zero():
    x = normal(0, 300, 5)
    assert frechet_distance(x, x[::-1]) == pytest.approx(0, abs=1e-9)


def test_a_shift_is_its_squared_length():
    x = normal(0, 100, 3)
    assert frechet_distance(x, x + [3.0, 4.0, 0.0]) == pytest.approx(25)


def test_a_scale_of_commuting_covariances():
    """(s - 1)^2 tr C, and the mean's own move."""
    x = normal(0, 500, 4, shift=1.0)
    move = np.sum((2 * x.mean(0) - x.mean(0)) ** 2)
    assert frechet_distance(x, 3 * x - x.mean(0)) == pytest.approx(
        4 * np.trace(np.cov(x, rowvar=False)) + move, rel=1e-6
    )


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), d=st.integers(1, 6))
def test_covariances_that_do_not_commute_as_scipy_has_them(seed, d):
    random = np.random.RandomState(seed)
    x = random.normal(size=(50, d)) @ random.normal(size=(d, d)) + 1
    y = random.normal(size=(40, d)) @ random.normal(size=(d, d))
    c, e = (np.atleast_2d(np.cov(a, rowvar=False)) for a in (x, y))
    root = scipy.linalg.sqrtm(c @ e).real
    want = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(c + e - 2 * root)
    assert frechet_distance(x, y) == pytest.approx(want, rel=1e-5, abs=1e-6)
    assert frechet_distance(y, x) == pytest.approx(want, rel=1e-5, abs=1e-6)


def test_fewer_examples_than_features_are_no_trouble():
    """A covariance without full rank."""
    x = normal(0, 10, 30)
    assert frechet_distance(x, x + 1) == pytest.approx(30)


# Kernel


def test_the_kernel_distance_of_one_distribution_is_zero_on_average():
    estimates = [
        kernel_distance(normal(seed, 400, 3), normal(seed + 1000, 400, 3), block=100)
        for seed in range(30)
    ]
    means = np.array([e.mean for e in estimates])
    assert abs(means.mean()) < 4 * means.std(ddof=1) / np.sqrt(30)
    assert means.min() < 0  # unbiased
    spread = np.mean([e.standard_error for e in estimates])
    assert spread == pytest.approx(means.std(ddof=1), rel=0.5)


def test_the_kernel_distance_is_its_expectation():
    """E k(a, b) of (a b + 1)^3 on the line: a polynomial in moments."""
    n, shift = 20_000, 0.5
    x, y = normal(0, n, 1), normal(1, n, 1, shift=shift)
    moments = lambda m: np.array([1, m, m**2 + 1, m**3 + 3 * m])
    expected = lambda m1, m2: np.sum(np.array([1, 3, 3, 1]) * moments(m1) * moments(m2))
    want = expected(0, 0) + expected(shift, shift) - 2 * expected(0, shift)
    got = kernel_distance(x, y, block=500)
    assert abs(got.mean - want) < 4 * got.standard_error
    assert got.standard_error < 0.1 * want


def test_the_standard_error_of_one_block_is_the_spread_of_its_estimates():
    estimates = [kernel_distance(normal(s, 60, 2), normal(s + 999, 60, 2, 1.0)) for s in range(200)]
    spread = np.std([e.mean for e in estimates])
    assert np.mean([e.standard_error for e in estimates]) == pytest.approx(spread, rel=0.2)


def test_the_jackknife_leaves_out_pairs():
    x, y = normal(0, 12, 2), normal(1, 12, 2, 0.5)
    without = [kernel_distance(np.delete(x, i, 0), np.delete(y, i, 0)).mean for i in range(len(x))]
    want = np.sqrt((len(x) - 1) * np.var(without))
    assert kernel_distance(x, y).standard_error == pytest.approx(want, rel=1e-9)


# Neighbours


@settings(max_examples=15)
@given(n=st.integers(1, 30), m=st.integers(3, 40), k=st.integers(1, 3), rows=st.integers(1, 12))
def test_neighbours_are_scikit_learns(n, m, k, rows):
    x, y = normal(0, n, 4), normal(1, m, 4)
    before, neighbours.BLOCK = neighbours.BLOCK, rows * m
    try:
        distances, indices = nearest(x, y, k)
    finally:
        neighbours.BLOCK = before
    want = sklearn.neighbors.NearestNeighbors(n_neighbors=k).fit(y).kneighbors(x)
    np.testing.assert_allclose(distances, want[0], rtol=1e-6)
    np.testing.assert_array_equal(indices, want[1])


def naive_manifolds(real, fake, k):
    """The definitions, one pair at a time."""
    distance = lambda a, b: np.linalg.norm(a - b)
    radius = lambda s, i: sorted(distance(s[i], s[j]) for j in range(len(s)) if j != i)[k - 1]
    r, f = ([radius(s, i) for i in range(len(s))] for s in (real, fake))
    inside = np.array([[distance(x, y) <= r[i] for i, x in enumerate(real)] for y in fake])
    reverse = np.array([[distance(x, y) <= f[j] for j, y in enumerate(fake)] for x in real])
    return (
        inside.any(1).mean(),
        reverse.any(1).mean(),
        inside.sum() / (k * len(fake)),
        inside.any(0).mean(),
    )


@pytest.mark.parametrize('rows', [7, 1000])
def test_manifolds_are_their_definitions(monkeypatch, rows):
    monkeypatch.setattr(neighbours, 'BLOCK', 40 * rows)
    real, fake = normal(0, 40, 3), normal(1, 30, 3, shift=0.7)
    np.testing.assert_allclose(manifolds(real, fake, 3), naive_manifolds(real, fake, 3))


def test_disjoint_sets_have_nothing_in_common():
    assert manifolds(normal(0, 50, 2), normal(1, 50, 2, shift=100.0)) == (0, 0, 0, 0)


def test_identical_sets_are_covered():
    x = normal(0, 200, 3)
    precision, recall, density, coverage = manifolds(x, x)
    assert (precision, recall, coverage) == (1, 1, 1)
    assert density == pytest.approx(1.2, abs=0.1)  # each ball holds its own centre and k others


def test_two_samples_of_one_distribution():
    """Coverage 1 - 2^-k and density 1 in expectation (Naeem et al. 2020, lemma 2)."""
    parts = [manifolds(normal(s, 1000, 4), normal(s + 50, 1000, 4), k=3) for s in range(5)]
    _, _, density, coverage = np.mean(parts, 0)
    assert coverage == pytest.approx(1 - 2.0**-3, abs=0.01)
    assert density == pytest.approx(1, abs=0.03)


def test_a_dropped_mode_costs_recall_and_coverage_but_no_precision():
    centres = np.array([[0.0, 0], [50, 0]])
    real = centres[np.arange(400) % 2] + normal(0, 400, 2)
    fake = centres[np.zeros(400, int)] + normal(1, 400, 2)
    precision, recall, _, coverage = manifolds(real, fake)
    assert precision > 0.95
    assert recall == pytest.approx(0.5, abs=0.03)
    assert coverage == pytest.approx(0.5, abs=0.03)


def test_copies_are_found():
    train, held_out = normal(0, 500, 5), normal(1, 500, 5)
    to_train = lambda x: nearest(x, train)[0][:, 0]
    rate = lambda x: memorisation_rate(to_train(x), to_train(held_out))
    assert rate(train[:50] + 1e-3) == 1
    assert rate(normal(2, 500, 5)) < 0.04
    assert rate(held_out) == pytest.approx(0.01, abs=0.002)


@pytest.mark.parametrize(
    'call',
    [
        lambda: frechet_distance(normal(0, 1, 2), normal(0, 9, 2)),
        lambda: kernel_distance(normal(0, 2, 2), normal(0, 9, 2)),
        lambda: nearest(normal(0, 9, 2), normal(0, 2, 2), 3),
        lambda: manifolds(normal(0, 5, 2), normal(0, 9, 2), 5),
        lambda: count_modes(np.zeros((0, 2)), MODES['ring']),
    ],
)
def test_too_few_examples_are_one_line(complaint, call):
    assert 'examples' in (line := complaint(call)) or 'no samples' in line


# Modes


@pytest.mark.parametrize('name, kl', [('ring', 0.0014), ('grid', 0.0048), ('checkerboard', 0.0014)])
def test_exact_samples_reach_the_ceiling(name, kl):
    """2,500 samples, 98.89 % within three deviations, or all; the divergence is noise alone."""
    modes, repeats = MODES[name], 20
    counts = [
        count_modes(DRAWS[name](np.random.RandomState(seed), 2500)['x'], modes)
        for seed in range(repeats)
    ]
    found, with_ten, quality, divergence = np.mean(counts, 0)
    assert found == with_ten == len(modes.centres)
    ceiling = 1 - np.exp(-4.5) if name in MIXTURES else 1.0
    assert quality == pytest.approx(ceiling, abs=4 * 0.0021 / np.sqrt(repeats))
    assert divergence == pytest.approx(kl, rel=0.3)


def test_a_collapsed_generator_has_one_mode():
    mixture = MIXTURES['grid']
    x = mixture.means[[3]] + 0.05 * normal(0, 500, 2)
    modes, with_ten, quality, divergence = count_modes(x, mixture.modes)
    assert (modes, with_ten) == (1, 1)
    assert quality > 0.97
    assert divergence == pytest.approx(np.log(25))


def test_a_lucky_sample_counts_once_and_not_as_ten():
    mixture = MIXTURES['ring']
    x = np.concatenate([np.repeat(mixture.means[:1], 99, 0), mixture.means[1:2]])
    modes, with_ten, quality, divergence = count_modes(x, mixture.modes)
    assert (modes, with_ten, quality) == (2, 1, 1)
    assert divergence == pytest.approx(np.log(8) + 0.99 * np.log(0.99) + 0.01 * np.log(0.01))


def test_samples_between_the_modes_are_of_no_quality():
    mixture = MIXTURES['ring']
    modes, _, quality, divergence = count_modes(np.zeros((10, 2)), mixture.modes)
    assert (modes, quality, divergence) == (0, 0, np.inf)


def test_a_square_ends_at_its_corners_and_its_neighbours_are_empty():
    corners = np.array([[3.99, 3.99], [2.01, 2.01], [0.01, 1.99], [2.5, 1.5], [4.01, 3.0]])
    assert count_modes(corners, MODES['checkerboard'])[::2] == (2, 0.6)
    everywhere = np.random.RandomState(0).uniform(-4, 4, (4000, 2))
    assert count_modes(everywhere, MODES['checkerboard']).high_quality == pytest.approx(
        0.5, abs=0.04
    )
