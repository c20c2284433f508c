"""Calibration of a classifier: reliability, expected calibration error, temperature scaling.

Guo, Pleiss, Sun and Weinberger (2017), On Calibration of Modern Neural Networks. All values are
computed in float64.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

Logits = Float[np.ndarray, 'n classes']
Labels = Int[np.ndarray, 'n']
HALVINGS = 60  # bisection steps on the logarithm of the temperature
MAX_LOG_TEMPERATURE = 20.0


class Reliability(NamedTuple):
    """Predictions in equal-width bins of confidence: number, mean confidence and accuracy per bin.
    Mean confidence and accuracy are NaN for an empty bin.
    """

    count: Float[np.ndarray, 'bins']
    confidence: Float[np.ndarray, 'bins']
    accuracy: Float[np.ndarray, 'bins']


def log_probs(logits: Logits) -> Logits:
    """Returns log p(class | x), computed without overflow."""
    shifted = np.asarray(logits, np.float64)
    shifted = shifted - shifted.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def cross_entropy(logits: Logits, label: Labels) -> Float[np.ndarray, 'n']:
    """Returns -log p(label | x) of each example, in nats."""
    return -log_probs(logits)[np.arange(len(label)), label]


def brier_score(logits: Logits, label: Labels) -> Float[np.ndarray, 'n']:
    """Returns |p - one-hot label|^2 of each example, in [0, 2] (Brier 1950)."""
    errors = np.exp(log_probs(logits))
    errors[np.arange(len(label)), label] -= 1
    return np.square(errors).sum(1)


def reliability(logits: Logits, label: Labels, num_bins: int) -> Reliability:
    """Returns the accuracy of predictions in each bin of their confidence: section 2 of Guo."""
    probs = np.exp(log_probs(logits))
    confidence, is_correct = probs.max(1), probs.argmax(1) == label
    # bin m is (m / bins, (m + 1) / bins]
    bin_index = np.clip(np.ceil(confidence * num_bins).astype(int) - 1, 0, num_bins - 1)
    count = np.bincount(bin_index, minlength=num_bins).astype(float)
    with np.errstate(invalid='ignore'):
        mean = lambda values: np.bincount(bin_index, values, num_bins) / count
        return Reliability(count, mean(confidence), mean(is_correct.astype(float)))


def calibration_error(bins: Reliability) -> float:
    """Returns the expected calibration error: the mean |accuracy - confidence|, equation 3 of Guo.

    With few examples it is positive even if the probabilities are the true ones.
    """
    gap = np.abs(bins.accuracy - bins.confidence)
    return float(np.nansum(bins.count * gap) / bins.count.sum())


def fitted_temperature(logits: Logits, label: Labels) -> float:
    """Returns the T that minimizes the cross-entropy of logits / T: section 4.2 of Guo.

    The cross-entropy is convex in 1 / T, so bisection finds the zero of its slope. If every example
    is classified correctly, the cross-entropy keeps falling as T approaches 0. Then there is no
    minimizer, and the function returns 1.
    """
    logits = np.asarray(logits, np.float64)
    if np.all(logits.argmax(1) == label):
        return 1.0
    rows = np.arange(len(label))
    low, high = -MAX_LOG_TEMPERATURE, MAX_LOG_TEMPERATURE  # bounds of log(1 / T)
    finite_logits = np.where(np.isfinite(logits), logits, logits[np.isfinite(logits)].min())
    for _ in range(HALVINGS):
        log_scale = 0.5 * (low + high)
        probs = np.exp(log_probs(logits * np.exp(log_scale)))
        slope = np.mean((probs * finite_logits).sum(1) - logits[rows, label])
        low, high = (log_scale, high) if slope < 0 else (low, log_scale)
    return float(np.exp(-0.5 * (low + high)))
