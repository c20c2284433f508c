"""Streams of words: what is certain is not coded."""

import numpy as np
import pytest

from atelier.evaluation.compression.word_stream import Decoder, Encoder

IMPOSSIBLE = -np.inf
HALF = np.log(0.5)
ROWS = np.array([[0.0, IMPOSSIBLE, IMPOSSIBLE], [HALF, IMPOSSIBLE, HALF]])


def test_certain_values_cost_nothing():
    """A million of them take no word, and are read back without one."""
    encoder, x = Encoder(skips_certain=True), np.array([0, 2])
    many = np.tile(ROWS[:1], (1000, 1))
    for _ in range(1000):
        encoder.transfer(many, np.zeros(1000, int))
    encoder.transfer(ROWS, x)
    words = encoder.words(0)
    assert len(words) <= 2 and sum(map(sum, encoder.costs)) == pytest.approx(1, abs=1e-5)
    decoder = Decoder(words, 0, skips_certain=True)
    assert not decoder.transfer(many, np.ones(1000, int)).any()
    np.testing.assert_array_equal(decoder.transfer(ROWS, np.zeros(2, int)), x)
    decoder.check_end()


def test_other_streams_code_them_too():
    encoder = Encoder()
    encoder.transfer(ROWS, np.array([1, 0]))  # an impossible level has the smallest frequency
    np.testing.assert_allclose(encoder.costs[0], [24, 1], atol=1e-5)
    np.testing.assert_array_equal(
        Decoder(encoder.words(0), 0).transfer(ROWS, np.zeros(2, int)), [1, 0]
    )


def test_a_value_that_is_impossible_is_refused():
    with pytest.raises(ValueError, match='not the only one that the model allows'):
        Encoder(skips_certain=True).transfer(ROWS, np.array([1, 0]))


@pytest.mark.parametrize('first', [np.nan, np.inf, IMPOSSIBLE])
def test_what_is_not_finite_is_not_certain(first):
    rows = np.array([[first, IMPOSSIBLE, IMPOSSIBLE]])
    with pytest.raises(ValueError, match='not finite'):
        Encoder(skips_certain=True).transfer(rows, np.array([0]))
    rows = np.array([[0.0, np.nan, IMPOSSIBLE]])
    with pytest.raises(ValueError, match='not finite'):
        Encoder(skips_certain=True).transfer(rows, np.array([0]))
