"""Whether a classifier is right as often as it says: reliability, calibration error, temperature.

Guo, Pleiss, Sun and Weinberger (2017), On Calibration of Modern Neural Networks. In float64.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

Logits = Float[np.ndarray, 'n classes']
Labels = Int[np.ndarray, 'n']
HALVINGS = 60  # of the bracket of a temperature's logarithm
MOST_LOG_TEMPERATURE = 20.0


class Reliability(NamedTuple):
    """Of predictions by their confidence, bins of one width: [bins] each, nan where none is."""

    count: Float[np.ndarray, 'bins']
    confidence: Float[np.ndarray, 'bins']
    accuracy: Float[np.ndarray, 'bins']


def log_chances(logits: Logits) -> Logits:
    """log p(class | x), without overflow."""
    away = np.asarray(logits, np.float64)
    away = away - away.max(1, keepdims=True)
    return away - np.log(np.exp(away).sum(1, keepdims=True))


def cross_entropy(logits: Logits, label: Labels) -> Float[np.ndarray, 'n']:
    """-log p(label | x) of each example, nats."""
    return -log_chances(logits)[np.arange(len(label)), label]


def brier_score(logits: Logits, label: Labels) -> Float[np.ndarray, 'n']:
    """|p - one-hot label|^2 of each example, in [0, 2] (Brier 1950)."""
    away = np.exp(log_chances(logits))
    away[np.arange(len(label)), label] -= 1
    return np.square(away).sum(1)


def reliability(logits: Logits, label: Labels, num_bins: int) -> Reliability:
    """How often the likeliest class is right where its probability is such: section 2 of Guo."""
    chances = np.exp(log_chances(logits))
    confidence, is_right = chances.max(1), chances.argmax(1) == label
    # bin m is (m / bins, (m + 1) / bins]
    bins = np.clip(np.ceil(confidence * num_bins).astype(int) - 1, 0, num_bins - 1)
    count = np.bincount(bins, minlength=num_bins).astype(float)
    with np.errstate(invalid='ignore'):
        mean = lambda values: np.bincount(bins, values, num_bins) / count
        return Reliability(count, mean(confidence), mean(is_right.astype(float)))


def calibration_error(found: Reliability) -> float:
    """Expected calibration error: the mean gap of accuracy and confidence, equation 3 of Guo.

    Of few examples it is not 0 even where the probabilities are true.
    """
    gap = np.abs(found.accuracy - found.confidence)
    return float(np.nansum(found.count * gap) / found.count.sum())


def fitted_temperature(logits: Logits, label: Labels) -> float:
    """T whose logits / T have the least cross-entropy: section 4.2 of Guo.

    The cross-entropy is convex in 1 / T, so that its slope is halved towards 0. Where every example
    is classified rightly it falls for ever as T does: then there is no such T, and 1 comes out.
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
