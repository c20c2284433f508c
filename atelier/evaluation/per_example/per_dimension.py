"""Negative log-likelihoods per dimension of an example, or per character of a text."""

import math

import numpy as np

from atelier.data.dataset import Dataset


def per_dimension(
    dataset: Dataset, split: str, nll_nats: np.ndarray | float
) -> dict[str, np.ndarray | float]:
    """Returns bits per dimension, or nats and bits per character of text; {} for a density.

    `nll_nats` has one value per example [n], or is their mean. It is divided by the average number
    of scored dimensions per example of the split. The mean over the split thus equals total nats /
    total scored dimensions, not the mean of per-example ratios.
    """
    if not dataset.spec.has_bits_per_dim:  # bits are meaningless for a density
        return {}
    if dataset.spec.symbols is None:
        return {'bits_per_dim': dataset.spec.bits_per_dim(nll_nats)}
    nats = nll_nats / dataset.scored_dims(split)
    return {'nats_per_character': nats, 'bits_per_character': nats / math.log(2)}
