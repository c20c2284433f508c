"""A stream of 32-bit words: values coded with the log probabilities of their levels, and back."""

import constriction
import numpy as np
from jaxtyping import Bool, Int, UInt32

from atelier.evaluation.compression import integer_frequencies
from atelier.evaluation.compression.integer_frequencies import LogProbs
from atelier.evaluation.compression.padding import WORD_BITS, num_words, padded, without_padding

MAX_LEFT = 64  # bits of the decoder's range: no stream costs more bits than it has, and these

Words = UInt32[np.ndarray, '_']


class Encoder:
    """Codes values as one stream of words, and keeps their costs in bits, an array for each call.

    Attributes:
      skips_certain: whether a value whose level is the only possible one is not coded.
    """

    def __init__(self, skips_certain: bool = False):
        """Begins an empty stream."""
        self._stream = constriction.stream.queue.RangeEncoder()
        self._skips_certain = skips_certain
        self.costs: list[np.ndarray] = []

    def transfer(self, log_probs: LogProbs, values: Int[np.ndarray, 'n']) -> Int[np.ndarray, 'n']:
        """Codes values with the frequencies of these log probabilities; returns them.

        Raises:
          ValueError: probabilities are not finite, or a certain value has another level.
        """
        is_free, costs = ~certain(log_probs, self._skips_certain), np.zeros(len(values))
        if (log_probs.argmax(1) != values)[~is_free].any():
            raise ValueError('a value is not the only one that the model allows')
        if is_free.any():
            table = integer_frequencies.frequencies(log_probs[is_free])
            coded = values[is_free].astype(np.int32)
            self._stream.encode(coded, *integer_frequencies.as_model(table))
            costs[is_free] = integer_frequencies.bits(table, coded)
        self.costs.append(costs)
        return values

    def words(self, least_bits: int) -> Words:
        """Returns the words, padded to at least so many bits."""
        words = self._stream.get_compressed()
        return padded(words, num_words(least_bits) - len(words))


class Decoder:
    """The inverse of `Encoder`.

    Decoding stops where the words have run out: `constriction` would go on, as if zeros followed.
    """

    def __init__(self, words: Words, least_bits: int, skips_certain: bool = False):
        """Begins with the first word; the arguments are those of the encoder.

        Raises:
          ValueError: there are fewer words than the encoder writes.
        """
        if len(words) < num_words(least_bits):
            raise ValueError('fewer bits than examples')
        if len(words) == num_words(least_bits):
            words = without_padding(words)
        self._stream = constriction.stream.queue.RangeDecoder(words)
        self._skips_certain = skips_certain
        self._bits_left = WORD_BITS * len(words) + MAX_LEFT

    def transfer(self, log_probs: LogProbs, values: Int[np.ndarray, 'n']) -> Int[np.ndarray, 'n']:
        """Returns as many decoded values as there are `values`, which are not read.

        Raises:
          ValueError: no encoder wrote these words.
        """
        del values
        is_free, values = ~certain(log_probs, self._skips_certain), log_probs.argmax(1)
        if is_free.any():
            table = integer_frequencies.frequencies(log_probs[is_free])
            try:
                decoded = self._stream.decode(*integer_frequencies.as_model(table))
            except AssertionError as error:  # how constriction reports invalid data
                raise ValueError('no encoder wrote these words') from error
            self._bits_left -= integer_frequencies.bits(table, decoded).sum()
            if self._bits_left < 0:
                raise ValueError('the words end before the last example')
            values[is_free] = decoded
        return values

    def check_end(self) -> None:
        """Checks that all words were read.

        Raises:
          ValueError: some are left.
        """
        if not self._stream.maybe_exhausted():
            raise ValueError('words are left over after the last example')


def certain(log_probs: LogProbs, skips_certain: bool) -> Bool[np.ndarray, 'n']:
    """Whether each row has a single possible level; all false unless `skips_certain`."""
    if not skips_certain:
        return np.zeros(len(log_probs), bool)
    num_impossible = (log_probs == -np.inf).sum(1)
    is_alone = num_impossible == log_probs.shape[1] - 1
    return is_alone & np.isfinite(log_probs.max(1))
