"""Simulators: their posteriors integrate to one, and are those of the pairs that are drawn."""

import numpy as np
import pytest
import scipy.stats

from atelier.data import simulators
from atelier.data.conditions.condition import KEY
from atelier.data.simulators import (
    AHEAD,
    DRAWS,
    LOG_POSTERIORS,
    RADIUS,
    SIZES,
    WIDTH,
    gaussian_linear_posterior,
    two_moons_evidence,
    two_moons_log_joint,
)
from atelier.data.sources import SIMULATORS


def pairs_of(name, n, seed=9):
    return DRAWS[name](np.random.RandomState(seed), n)


def test_every_simulator_can_be_named():
    assert {*SIMULATORS} == {*DRAWS} == {*LOG_POSTERIORS}


@pytest.mark.parametrize('name', SIMULATORS)
def test_pairs_are_the_same_for_every_run(name):
    data = simulators.load(name)
    assert data.fingerprint() == simulators.load(name).fingerprint()
    assert {split: data.size(split) for split in data.splits} == SIZES
    train = data.splits['train']
    assert train['x'].dtype == train[KEY].dtype == np.float32
    assert train['x'].shape[1:] == data.spec.event_shape
    assert train[KEY].shape[1] == data.spec.condition.num_columns
    x = np.concatenate([part['x'] for part in data.splits.values()])
    assert len(np.unique(x, axis=0)) > 0.99 * len(x)  # splits share no pairs


def test_the_posterior_of_the_linear_simulator_is_a_regression_on_its_data():
    """The mean is the best linear prediction, and the covariance that of what it misses."""
    theta, data = pairs_of('gaussian_linear', 200_000)
    slopes, *_ = np.linalg.lstsq(data, theta, rcond=None)
    mean, covariance = gaussian_linear_posterior(data)
    np.testing.assert_allclose(data @ slopes, mean, atol=0.03)
    np.testing.assert_allclose(np.cov((theta - mean).T), covariance, atol=3e-3)
    expected = scipy.stats.multivariate_normal(mean[7], covariance).logpdf(theta[7])
    log_posterior = LOG_POSTERIORS['gaussian_linear'](theta[7:8], data[7:8])
    np.testing.assert_allclose(log_posterior, expected, rtol=1e-9)


@pytest.mark.parametrize(
    'data',
    [(0.0, 0.0), (-0.9, 0.2), (-1.05, 0.0), (0.33, 0.05)],
    ids=['two moons', 'cut by the square', 'cut by its corner', 'where the moons meet'],
)
def test_the_posterior_of_the_moons_integrates_to_one(data):
    """Over a grid of parameters, whereas the evidence is an integral over the crescent."""
    cells = 1500
    ticks = (np.arange(cells) + 0.5) * 2 / cells - 1
    grid = np.stack(np.meshgrid(ticks, ticks), -1).reshape(-1, 2)
    log_joint = two_moons_log_joint(grid, np.tile(data, (len(grid), 1)))
    mass = np.exp(log_joint).sum() * (2 / cells) ** 2
    np.testing.assert_allclose(mass, two_moons_evidence(np.array([data])), rtol=0.01)


def test_drawn_parameters_follow_the_posterior_of_the_moons():
    """Pairs whose data are near a point, in quarters of the square that the posterior predicts."""
    point, near = np.array([-0.3, 0.2]), 0.02
    theta, data = pairs_of('two_moons_posterior', 2_000_000)
    chosen = theta[np.abs(data - point).max(1) < near]
    assert len(chosen) > 300
    has_positive_sum = chosen.sum(1) > 0
    assert abs(has_positive_sum.mean() - 0.5) < 5 * 0.5 / np.sqrt(len(chosen))
    away = np.abs(chosen.sum(1)) / np.sqrt(2) + point[0] - AHEAD  # on the crescent
    assert (away > -near).all() and (away < RADIUS + 5 * WIDTH + near).all()
    log_posterior = LOG_POSTERIORS['two_moons_posterior'](*pairs_of('two_moons_posterior', 500))
    assert np.isfinite(log_posterior).all()
