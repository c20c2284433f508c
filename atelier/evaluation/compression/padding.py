"""Zero words at the end of coded words, which then have at least one bit per example.

A model can code an example in almost no bits, so a few words could hold any number of examples.
With this rule, decoding takes a time in proportion to the length of the file. Examples of more than
a bit each need no padding.
"""

import numpy as np
from jaxtyping import UInt32

WORD_BITS = 32


def num_words(num_bits: int) -> int:
    """Returns the least number of words that hold so many bits; 0 for a negative number."""
    return -(-max(num_bits, 0) // WORD_BITS)


def padded(words: UInt32[np.ndarray, 'n'], num_zeros: int) -> UInt32[np.ndarray, 'm']:
    """Returns the words with `num_zeros` zero words after them; none if it is negative."""
    return np.concatenate([words, np.zeros(max(num_zeros, 0), np.uint32)])


def without_padding(words: UInt32[np.ndarray, 'm']) -> UInt32[np.ndarray, 'n']:
    """Returns the words without the zero words at the end."""
    return np.trim_zeros(words, 'b')
