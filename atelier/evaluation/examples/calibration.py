"""Calibration of a classifier: reliability, expected calibration error, temperature scaling.

Guo, Pleiss, Sun and Weinberger (2017), On Calibration of Modern Neural Networks. In float64.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

Logits = Float[np.ndarray, 'n classes']
Labels = Int[np.ndarray, 'n']
HALVINGS = 60  # bisection steps on the logarithm of the temperature
MOST_LOG_TEMPERATURE = 20.0


class Reliability(NamedTuple):
    """Predictions in equal-width bins of confidence: [bins] each; means are NaN in empty bins."""

    count: Float[np.ndarray, 'bins']
    confidence: Float[np.ndarray, 'bins']
    accuracy: Float[np.ndarray, 'bins']


def log_chances(logits: Logits) -> Logits:
    """Returns log p(class | x), computed without overflow."""
    away = np.asarray(logits, np.float64)
    away = away - away.max(1, keepdims=True)
    return away - np.log(np.exp(away).sum(1, keepdims=True))


def cross_entropy(logits: Logits, label: Labels) -> Float[np.ndarray, 'n']:
    """Returns -log p(label | x) of each example, in nats."""
    return -log_chances(logits)[np.arange(len(label)), label]


def brier_score(logits: Logits, label: Labels) -> Float[np.ndarray, 'n']:
    """Returns |p - one-hot label|^2 of each example, in [0, 2] (Brier 1950)."""
    away = np.exp(log_chances(logits))
    away[np.arange(len(label)), label] -= 1
    return np.square(away).sum(1)


def reliability(logits: Logits, label: Labels, num_bins: int) -> Reliability:
    """Returns the accuracy of the most probable class by its probability: section 2 of Guo."""
    chances = np.exp(log_chances(logits))
    confidence, is_right = chances.max(1), chances.argmax(1) == label
    # bin m is (m / bins, (m + 1) / bins]
    bins = np.clip(np.ceil(confidence * num_bins).astype(int) - 1, 0, num_bins - 1)
    count = np.bincount(bins, minlength=num_bins).astype(float)
    with np.errstate(invalid='ignore'):
        mean = lambda values: np.bincount(bins, values, num_bins) / count
        return Reliability(count, mean(confidence), mean(is_right.astype(float)))


def calibration_error(found: Reliability) -> float:
    """Returns the expected calibration error: the mean |accuracy - confidence|, equation 3 of Guo.

    With few examples it is positive even for true probabilities.
    """
    gap = np.abs(found.accuracy - found.confidence)
    return float(np.nansum(found.count * gap) / found.count.sum())


def fitted_temperature(logits: Logits, label: Labels) -> float:
    """Returns the T that minimizes the cross-entropy of logits / T: section 4.2 of Guo.

    The cross-entropy is convex in 1 / T, so bisection finds the zero of its slope. If every example
    is classified correctly, the cross-entropy falls without end as T does: there is no minimizer,
    and T is 1.
    """
    own = np.asarray(logits, np.float64)
    if np.all(own.argmax(1) == label):
        return 1.0
    rows = np.arange(len(label))
    low, high = -MOST_LOG_TEMPERATURE, MOST_LOG_TEMPERATURE  # of log 1 / T
    finite = np.where(np.isfinite(own), own, own[np.isfinite(own)].min())
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        chances = np.exp(log_chances(own * np.exp(middle)))
        slope = np.mean((chances * finite).sum(1) - own[rows, label])
        low, high = (middle, high) if slope < 0 else (low, middle)
    return float(np.exp(-0.5 * (low + high)))
