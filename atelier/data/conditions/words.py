"""A condition of words: a caption, as tokens of a vocabulary."""

import functools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from atelier.errors import UserError, did_you_mean, short_repr, shortened
from atelier.log import counted, escaped

END = 0  # token that ends a caption and fills the rest of its row; a caption alone is no word
WORD = re.compile(r'\w+|[^\w\s]')


class Words(NamedTuple):
    """A caption [length]: tokens of a vocabulary, then `END` up to the length.

    vocabulary: the words of tokens 1, 2, ...
    length: tokens of a row, one more than the longest caption has words.
    examples: some captions of training, as rows. A sample without a requested caption has one of
      them.
    untrained: the words of the vocabulary that no caption of training has, so that nothing is
      learned of them; () if there are none, or if a run of an earlier version did not record them.
    """

    vocabulary: tuple[str, ...]
    length: int
    examples: tuple[tuple[int, ...], ...] = ()
    untrained: tuple[str, ...] = ()

    __repr__ = short_repr

    @property
    def num_columns(self) -> int:
        """Number of stored tokens of an example."""
        return self.length

    @property
    def num_tokens(self) -> int:
        """Number of different tokens: the words and `END`."""
        return len(self.vocabulary) + 1

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of different tokens at each position."""
        return (self.num_tokens,) * self.length

    @property
    def num_features(self) -> int:
        """Number of inputs of a network that reads no tokens."""
        return self.length * self.num_tokens

    def features(self, values: Int[Array | np.ndarray, 'n length']) -> Float[Array, 'n features']:
        """Returns the token at each position, one-hot, for networks that read no tokens."""
        return jax.nn.one_hot(values, self.num_tokens).reshape(len(values), -1)

    def fitted(self, values: Int[np.ndarray, 'n length']) -> 'Words':
        """Returns the condition with the words that the training split lacks.

        Raises:
          UserError: all captions are equal, so that nothing can be learned from them.
        """
        if (values == values[:1]).all():
            raise UserError('all captions of the training split are equal')
        seen = {*np.unique(values).tolist()}
        lacking = (word for token, word in enumerate(self.vocabulary, 1) if token not in seen)
        return self._replace(untrained=tuple(lacking))

    def is_trained(self, values: Int[np.ndarray, 'n length']) -> Bool[np.ndarray, 'n length']:
        """Whether a caption of training has the word of each token, as far as is recorded."""
        return ~np.isin(values, [_tokens_of(self.vocabulary)[word] for word in self.untrained])

    def parsed(self, text: str) -> list[int]:
        """Returns the row of a caption.

        Raises:
          UserError: the caption is empty or too long, or a word is not in the vocabulary.
        """
        words, row = words_of(text), self.tokens(text)
        if not words:
            raise UserError('an empty caption: give at least one word')
        if len(words) >= self.length:
            raise UserError(
                f'the caption {shortened(text)} has {counted(len(words), "word")}, more than the '
                f'{self.length - 1} of the longest caption in training'
            )
        lacking = {*self.untrained}
        for word, token in zip(words, row, strict=True):
            if token is None or word in lacking:
                hint = did_you_mean(word, [each for each in self.vocabulary if each not in lacking])
                raise UserError(f'the word {shortened(word)} is in no caption of training{hint}')
        return row + [END] * (self.length - len(row))

    def tokens(self, text: str) -> list[int | None]:
        """Returns the token of each word of a text; None if it is not in the vocabulary."""
        known = _tokens_of(self.vocabulary)
        return [known.get(word) for word in words_of(text)]

    def row(self, parts: Sequence[str]) -> list[int]:
        """Returns the row of the one caption in `parts`; errors as `parsed`."""
        (caption,) = parts
        return self.parsed(caption)

    def described(self, values: Sequence[int]) -> str:
        """Returns the caption as a line of text."""
        return ' '.join(escaped(self.vocabulary[i - 1]) for i in values if i != END)


@functools.lru_cache(4)  # as files have thousands of captions
def _tokens_of(vocabulary: tuple[str, ...]) -> dict[str, int]:
    return {word: token for token, word in enumerate(vocabulary, 1)}


def words_of(text: str) -> list[str]:
    """Returns the words and punctuation marks of a text, in lower case.

    Letters with accents are one symbol (NFC), as `é` may also be written as two.
    """
    return WORD.findall(unicodedata.normalize('NFC', text.casefold()))


def of_captions(captions: Iterable[str]) -> Words:
    """Returns the condition whose vocabulary are the sorted words of these captions.

    Raises:
      UserError: a caption is empty.
    """
    texts = [*captions]
    rows = [words_of(text) for text in texts]
    if not all(rows):
        number = next(i for i, row in enumerate(rows, 1) if not row)
        raise UserError(f'caption {number} is empty: each picture needs at least one word')
    vocabulary = tuple(sorted({word for row in rows for word in row}))
    return Words(vocabulary, 1 + max(map(len, rows)))
