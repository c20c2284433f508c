"""Nearest neighbours and manifold metrics of sets with known results."""

import numpy as np
import pytest
import sklearn.neighbors
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.data.spec import Spec
from atelier.evaluation.samples import neighbours
from atelier.evaluation.samples.features import coordinates
from atelier.evaluation.samples.neighbours import (
    memorisation_rate,
    nearest,
    overlap_metrics,
    share_of_repeats,
)


def normal(seed, n, d, shift=0.0, scale=1.0):
    return shift + scale * np.random.RandomState(seed).normal(size=(n, d))


@settings(max_examples=15)
@given(n=st.integers(1, 30), m=st.integers(3, 40), k=st.integers(1, 3), rows=st.integers(1, 12))
def test_neighbours_equal_scikit_learns(n, m, k, rows):
    x, y = normal(0, n, 4), normal(1, m, 4)
    before, neighbours.BLOCK = neighbours.BLOCK, rows * m
    try:
        distances, indices = nearest(x, y, k)
    finally:
        neighbours.BLOCK = before
    expected = sklearn.neighbors.NearestNeighbors(n_neighbors=k).fit(y).kneighbors(x)
    np.testing.assert_allclose(distances, expected[0], rtol=1e-6)
    np.testing.assert_array_equal(indices, expected[1])


def naive_manifolds(real, fake, k):
    """Returns precision, recall, density and coverage by their definitions, one pair at a time."""
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
def test_manifold_metrics_equal_their_definitions(monkeypatch, rows):
    monkeypatch.setattr(neighbours, 'BLOCK', 40 * rows)
    real, fake = normal(0, 40, 3), normal(1, 30, 3, shift=0.7)
    np.testing.assert_allclose(overlap_metrics(real, fake, 3), naive_manifolds(real, fake, 3))


def test_all_manifold_metrics_of_disjoint_sets_are_zero():
    assert overlap_metrics(normal(0, 50, 2), normal(1, 50, 2, shift=100.0)) == (0, 0, 0, 0)


def test_identical_sets_are_covered():
    x = normal(0, 200, 3)
    precision, recall, density, coverage = overlap_metrics(x, x)
    assert (precision, recall, coverage) == (1, 1, 1)
    assert density == pytest.approx(1.2, abs=0.1)  # each ball contains its own centre and k others


def test_two_samples_of_one_distribution():
    """Coverage 1 - 2^-k and density 1 in expectation (Naeem et al. 2020, lemma 2)."""
    parts = [overlap_metrics(normal(s, 1000, 4), normal(s + 50, 1000, 4), k=3) for s in range(5)]
    _, _, density, coverage = np.mean(parts, 0)
    assert coverage == pytest.approx(1 - 2.0**-3, abs=0.01)
    assert density == pytest.approx(1, abs=0.03)


def test_a_dropped_mode_lowers_recall_and_coverage_but_not_precision():
    centres = np.array([[0.0, 0], [50, 0]])
    real = centres[np.arange(400) % 2] + normal(0, 400, 2)
    fake = centres[np.zeros(400, int)] + normal(1, 400, 2)
    precision, recall, _, coverage = overlap_metrics(real, fake)
    assert precision > 0.95
    assert recall == pytest.approx(0.5, abs=0.03)
    assert coverage == pytest.approx(0.5, abs=0.03)


def test_copies_are_counted_as_memorised():
    train, held_out = normal(0, 500, 5), normal(1, 500, 5)
    to_train = lambda x: nearest(x, train)[0][:, 0]
    rate = lambda x: memorisation_rate(to_train(x), to_train(held_out))
    assert rate(train[:50] + 1e-3) == 1
    assert rate(normal(2, 500, 5)) < 0.04
    assert rate(held_out) == pytest.approx(0.01, abs=0.002)


def lattice(seed, n):
    """Rows of whole numbers 0..3, [n, 3]: of 64 different ones, most occur often."""
    return np.random.RandomState(seed).randint(0, 4, size=(n, 3))


@pytest.mark.parametrize(
    'shift, scale',
    [
        pytest.param(0.0, 1.0, marks=pytest.mark.slow),
        pytest.param(0.1, 1 / 3, marks=pytest.mark.slow),
        (-17.3, 0.7),
        pytest.param(1e3, 1.1, marks=pytest.mark.slow),
    ],
)
def test_equal_distances_are_equal_after_rounding(shift, scale):
    """Whole numbers have exact distances; standardized numbers keep the order of the distances."""
    real, fake = lattice(0, 300), lattice(1, 200)
    expected = naive_manifolds(real, fake, 5)
    found = overlap_metrics(shift + scale * real, shift + scale * fake, 5)
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(
    'shift, scale',
    [
        pytest.param(0.0, 1.0, marks=pytest.mark.slow),
        pytest.param(0.0, 0.1, marks=pytest.mark.slow),
        (0.1, 1 / 3),
        pytest.param(-17.3, 0.7, marks=pytest.mark.slow),
    ],
)
def test_equal_distances_of_float32_features_are_equal(shift, scale):
    real, fake = lattice(0, 300), lattice(1, 200)
    of_floats = [(shift + scale * x).astype(np.float32) for x in (real, fake)]
    np.testing.assert_allclose(overlap_metrics(*of_floats, 5), naive_manifolds(real, fake, 5))


@pytest.mark.parametrize('step', [pytest.param(1.0, marks=pytest.mark.slow), 0.1])
def test_equal_distances_of_normalized_coordinates_are_equal(step):
    """Columns have one standard deviation, so that normalization keeps the order of distances."""
    tables = [lattice(0, 300), lattice(1, 200)]
    mean = tuple(step * np.array([1.49, 1.51, 1.503]))
    spec = Spec((3,), None, None, mean=mean, std=(1.113 * step,) * 3)
    found = [coordinates((step * x).astype(np.float32), spec) for x in tables]
    assert found[0].dtype == np.float32
    np.testing.assert_allclose(overlap_metrics(*found, 5), naive_manifolds(*tables, 5))


def test_round_off_of_float32_does_not_change_the_metrics_of_continuous_features():
    real, fake = normal(0, 1000, 8), normal(1, 1000, 8)
    found = overlap_metrics(real.astype(np.float32), fake.astype(np.float32))
    np.testing.assert_allclose(found, overlap_metrics(real, fake), rtol=1e-3)


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_equal_rows_have_distance_zero(dtype):
    y = (1e3 + 0.1 * lattice(0, 300)).astype(dtype)
    distance, index = nearest(y[::-1], y, 3)
    assert (distance[:, 0] == 0).all()
    np.testing.assert_array_equal(y[index[:, 0]], y[::-1])
    assert (np.diff(distance) >= 0).all()


def test_memorisation_cannot_be_told_where_held_out_data_repeat_training_data():
    train, held_out = 0.3 * lattice(0, 1000), 0.3 * lattice(1, 500)
    to_train = lambda x: nearest(x, train)[0][:, 0]
    assert memorisation_rate(to_train(train[:100]), to_train(held_out)) is None


def test_repeats_are_counted():
    x = np.array([[1, 2], [1, 2], [3, 4], [1, 2], [5, 6]])
    assert share_of_repeats(x) == pytest.approx(0.4)
    assert share_of_repeats(normal(0, 50, 2)) == 0


def test_distances_equal_to_the_threshold_are_not_suspicious():
    """All rows are sides of one lattice, so most distances to training examples are equal."""
    rng = np.random.RandomState(0)
    train, held_out, other = (
        0.1 + 0.7 * (2 * rng.randint(0, 9, size=(n, 6)) + odd)
        for n, odd in ((500, 0), (400, 1), (400, 1))
    )
    to_train = lambda x: nearest(x, train)[0][:, 0]
    assert memorisation_rate(to_train(other), to_train(held_out)) < 0.02
    assert memorisation_rate(to_train(train), to_train(held_out)) == 1


@pytest.mark.parametrize(
    'call',
    [
        lambda: nearest(normal(0, 9, 2), normal(0, 2, 2), 3),
        lambda: overlap_metrics(normal(0, 5, 2), normal(0, 9, 2), 5),
    ],
)
def test_too_few_examples_are_refused_in_one_line(complaint, call):
    assert 'examples' in complaint(call)
