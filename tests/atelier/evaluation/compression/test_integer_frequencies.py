"""Integer frequencies for range coding: their sum, their minimum, and their cost in bits."""

import constriction
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from atelier.evaluation.compression.integer_frequencies import TOTAL, as_model, bits, frequencies

NATS = st.floats(-1e4, 1e4, width=32) | st.just(-np.inf)
ROWS = st.tuples(st.integers(1, 5), st.integers(2, 300)).flatmap(
    lambda shape: arrays.arrays(np.float32, shape, elements=NATS)
)


@given(ROWS)
def test_frequencies_have_their_sum_minimum_and_cost(log_probs):
    log_probs[:, 0] = np.where(np.isinf(log_probs.max(1)), 0, log_probs[:, 0])
    counts, levels = frequencies(log_probs), log_probs.shape[1]
    assert counts.dtype == np.int64
    assert (counts.sum(1) == TOTAL).all() and counts.min() >= 1
    each = log_probs.astype(np.float64)
    shares = np.exp(each - each.max(1, keepdims=True))
    chance = shares / shares.sum(1, keepdims=True)
    assert (counts >= chance * (TOTAL - levels) * (1 - 1e-12)).all()
    for row, table in zip(log_probs, counts, strict=True):  # monotone in the probability
        assert (np.diff(table[np.lexsort((table, row))]) >= 0).all()
    # the cost of a value exceeds -log2 of its probability by at most this
    most = -np.log2(np.maximum(chance, 1e-300)) + np.log2(TOTAL / (TOTAL - levels)) + 1e-9
    for level in range(levels):
        cost = bits(counts, np.full(len(counts), level))
        assert (cost <= most[:, level]).all() and (cost <= 24).all()


@given(ROWS, st.floats(-100, 100))
def test_frequencies_do_not_depend_on_normalization(log_probs, shift):
    """log p counts up to a constant: unnormalized probabilities are normalized."""
    log_probs = np.float64(np.maximum(log_probs, -50) % 20)
    near = frequencies(log_probs + shift)
    np.testing.assert_allclose(near, frequencies(log_probs), rtol=1e-6, atol=len(near[0]))


def test_log_probabilities_that_are_not_finite_are_refused():
    for row in ([np.nan, 0.0], [-np.inf, -np.inf], [np.inf, 0.0]):
        with pytest.raises(ValueError, match='not finite'):
            frequencies(np.array([[0.0, 0.0], row]))


@pytest.mark.parametrize('levels', [2, 3, 17, 256, 4096])
def test_the_coder_uses_exactly_these_frequencies(levels):
    """After one value the coder's range is exactly that value's share of the total."""
    random = np.random.RandomState(levels)
    (table,) = frequencies(random.normal(0, 3, (1, levels)))
    for level in random.randint(0, levels, 40):
        encoder = constriction.stream.queue.RangeEncoder()
        encoder.encode(np.array([level], np.int32), *as_model(table[None]))
        (_, (_, size)) = encoder.pos()
        whole = ((2**64 - 1) // TOTAL) * int(table[level])
        assert size == (whole if whole >= 2**32 else whole << 32)
