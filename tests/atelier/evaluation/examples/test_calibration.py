"""Calibration against scikit-learn, closed forms, and calibrated predictions."""

import numpy as np
import pytest
from sklearn import calibration as sklearn_calibration
from sklearn import metrics

from atelier.evaluation.examples import calibration

N, CLASSES = 20_000, 4


def drawn(seed=0, scale=2.0):
    """Returns logits, and labels drawn from their probabilities."""
    random = np.random.RandomState(seed)
    logits = scale * random.normal(size=(N, CLASSES))
    chances = np.exp(calibration.log_probs(logits))
    label = (chances.cumsum(1) < random.uniform(size=(N, 1))).sum(1)
    return logits, np.minimum(label, CLASSES - 1)


def test_scores_equal_scikit_learns():
    logits, label = drawn()
    chances = np.exp(calibration.log_probs(logits))
    np.testing.assert_allclose(
        calibration.cross_entropy(logits, label).mean(), metrics.log_loss(label, chances)
    )
    two = logits[:, :2], (label > 1).astype(int)
    right = metrics.brier_score_loss(two[1], np.exp(calibration.log_probs(two[0]))[:, 1])
    # scikit-learn counts one of the two classes; both have the same error
    np.testing.assert_allclose(calibration.brier_score(*two).mean(), 2 * right)


def test_the_bins_equal_scikit_learns():
    """scikit-learn bins the positive class, so here class 1 is always the more probable one."""
    random = np.random.RandomState(1)
    chance = random.uniform(0.5, 1, size=N)
    logits = np.stack([np.zeros(N), np.log(chance / (1 - chance))], 1)
    label = (random.uniform(size=N) < chance**2).astype(int)
    bins = calibration.reliability(logits, label, 10)
    share, mean = sklearn_calibration.calibration_curve(label, chance, n_bins=10)
    has = bins.count > 0
    np.testing.assert_allclose(bins.accuracy[has], share)
    np.testing.assert_allclose(bins.confidence[has], mean)
    assert bins.count.sum() == N


def test_true_probabilities_have_almost_no_calibration_error():
    bins = calibration.reliability(*drawn(), 15)
    assert calibration.calibration_error(bins) < 0.015


def test_the_calibration_error_of_always_sure_and_half_right():
    logits = np.tile([50.0, 0.0], (10, 1))
    label = np.arange(10) % 2
    bins = calibration.reliability(logits, label, 15)
    np.testing.assert_allclose(calibration.calibration_error(bins), 0.5)


@pytest.mark.parametrize('factor', [0.2, 1.0, 30.0])
def test_the_temperature_is_the_factor_of_the_logits(factor):
    logits, label = drawn()
    own = calibration.fitted_temperature(logits, label)
    np.testing.assert_allclose(own, 1.0, rtol=0.03)  # the labels are drawn from the logits
    temperature = calibration.fitted_temperature(factor * logits, label)
    np.testing.assert_allclose(temperature, factor * own, rtol=1e-9)
    at = lambda t: calibration.cross_entropy(logits / t, label).mean()
    assert at(own) < min(at(0.99 * own), at(1.01 * own))


def test_without_an_error_the_temperature_is_one():
    assert calibration.fitted_temperature(np.array([[2.0, 0.0], [0.0, 3.0]]), np.arange(2)) == 1


def test_an_impossible_class_does_not_change_the_temperature():
    logits, label = drawn()
    with_one = np.concatenate([logits, np.full((N, 1), -np.inf)], 1)
    np.testing.assert_allclose(
        calibration.fitted_temperature(with_one, label),
        calibration.fitted_temperature(logits, label),
    )
    assert calibration.cross_entropy(with_one, np.full(N, CLASSES)).min() == np.inf
