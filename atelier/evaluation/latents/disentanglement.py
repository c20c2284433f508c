"""Disentanglement of codes with respect to the data's factors: the mutual information gap."""

import numpy as np
from jaxtyping import Float, Int

NUM_BINS = 20  # bins per dimension, as in Locatello et al. (2019)


def mutual_information_gap(
    codes: Float[np.ndarray, 'n latent'],
    factors: Int[np.ndarray, 'n factors'],
    num_bins: int = NUM_BINS,
) -> Float[np.ndarray, 'factors']:
    """Returns the gap of each factor, in [0, 1]; MIG is their mean.

        [I(z_a; v_k) - I(z_b; v_k)] / H(v_k)

    for the two dimensions a and b with the most information about factor v_k: Chen et al. (2018),
    equation 6. Each dimension is discretized into equal-width bins between its smallest and largest
    code, as in Locatello et al. (2019), appendix B. I and H are those of the empirical joint
    distribution. With few examples I is too high by about (bins - 1)(values - 1) / 2n nats, equally
    in both terms of the gap. For a one-dimensional code the second term is 0.

    Raises:
      ValueError: a factor has a single value, so its entropy is 0.
    """
    entropies = np.array([entropy(np.bincount(values)) for values in _as_indices(factors).T])
    if not np.all(entropies > 0):
        raise ValueError('a factor with a single value has no entropy')
    information = mutual_information(binned(codes, num_bins), factors)
    information = np.sort(np.pad(information, ((1, 0), (0, 0))), axis=0)
    return (information[-1] - information[-2]) / entropies


def binned(codes: Float[np.ndarray, 'n latent'], num_bins: int) -> Int[np.ndarray, 'n latent']:
    """Returns the index of each code's equal-width bin in its dimension, 0 to num_bins - 1."""
    codes = np.asarray(codes, np.float64)
    low, width = codes.min(0), np.ptp(codes, axis=0)
    fraction = (codes - low) / np.where(width > 0, width, 1)
    return np.minimum((fraction * num_bins).astype(np.int64), num_bins - 1)


def mutual_information(
    a: Int[np.ndarray, 'n first'], b: Int[np.ndarray, 'n second']
) -> Float[np.ndarray, 'first second']:
    """Returns the empirical mutual information of each column of a and each of b, in nats."""
    a, b = _as_indices(a), _as_indices(b)
    entropy_of = lambda column: entropy(np.bincount(column))
    information = lambda u, v: entropy_of(u) + entropy_of(v) - entropy_of(u * (v.max() + 1) + v)
    return np.array([[information(u, v) for v in b.T] for u in a.T])


def entropy(counts: Int[np.ndarray, 'values']) -> float:
    """Returns the entropy of the empirical distribution, in nats."""
    p = counts[counts > 0] / counts.sum()
    return float(-np.sum(p * np.log(p)))


def _as_indices(values: Int[np.ndarray, 'n columns']) -> Int[np.ndarray, 'n columns']:
    """Replaces the values of each column by 0, 1, ... in ascending order."""
    columns = [np.unique(column, return_inverse=True)[1].reshape(-1) for column in values.T]
    return np.stack(columns, axis=1)
