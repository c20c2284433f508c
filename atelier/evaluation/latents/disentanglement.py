"""Whether a dimension of the code stands for a factor of the data: the mutual information gap."""

import numpy as np
from jaxtyping import Float, Int

NUM_BINS = 20  # of each dimension, as Locatello et al. (2019) choose


def mutual_information_gap(
    codes: Float[np.ndarray, 'n latent'],
    factors: Int[np.ndarray, 'n factors'],
    num_bins: int = NUM_BINS,
) -> Float[np.ndarray, 'factors']:
    """The gap of each factor, in [0, 1]; MIG is their mean.

        [I(z_a; v_k) - I(z_b; v_k)] / H(v_k)

    for the two dimensions a and b that know most of factor v_k: Chen et al. (2018), equation 6.
    Codes are cut into equal-width bins between the smallest and the largest of each dimension, as
    Locatello et al. (2019), appendix B, do, and the information is that of the empirical joint
    distribution. It comes out too high of few examples, by about (bins - 1)(values - 1) / 2n nats,
    in both terms of the gap alike. A code of one dimension has no second: that is 0.

    Raises:
      ValueError: a factor has a single value: it has no entropy.
    """
    entropies = np.array([entropy(np.bincount(values)) for values in _numbered(factors).T])
    if not np.all(entropies > 0):
        raise ValueError('a factor with a single value has no entropy')
    known = mutual_information(binned(codes, num_bins), factors)
    known = np.sort(np.pad(known, ((1, 0), (0, 0))), axis=0)
    return (known[-1] - known[-2]) / entropies


def binned(codes: Float[np.ndarray, 'n latent'], num_bins: int) -> Int[np.ndarray, 'n latent']:
    """The number of each code's bin, 0 to num_bins - 1, of equal width in its dimension."""
    codes = np.asarray(codes, np.float64)
    low, width = codes.min(0), np.ptp(codes, axis=0)
    share = (codes - low) / np.where(width > 0, width, 1)
    return np.minimum((share * num_bins).astype(np.int64), num_bins - 1)


def mutual_information(
    a: Int[np.ndarray, 'n first'], b: Int[np.ndarray, 'n second']
) -> Float[np.ndarray, 'first second']:
    """I of each column of a and each of b, in nats, of their empirical joint distributions."""
    a, b = _numbered(a), _numbered(b)
    of = lambda column: entropy(np.bincount(column))
    shared = lambda u, v: of(u) + of(v) - of(u * (v.max() + 1) + v)
    return np.array([[shared(u, v) for v in b.T] for u in a.T])


def entropy(counts: Int[np.ndarray, 'values']) -> float:
    """Of the empirical distribution, in nats."""
    p = counts[counts > 0] / counts.sum()
    return float(-np.sum(p * np.log(p)))


def _numbered(values: Int[np.ndarray, 'n columns']) -> Int[np.ndarray, 'n columns']:
    """The values of each column as 0, 1, ... in their order."""
    columns = [np.unique(column, return_inverse=True)[1].reshape(-1) for column in values.T]
    return np.stack(columns, axis=1)
