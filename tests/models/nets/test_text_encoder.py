"""Encoded captions do not depend on their padding; words change what other words become."""

import jax
import jax.numpy as jnp
import numpy as np

from atelier.data.conditions.words import END
from models.nets.text_encoder import TextEncoder

ENCODER = TextEncoder(num_tokens=9, text_width=8, text_blocks=2, heads=2)
TOKENS = np.array([[3, 1, END, END, END], [2, END, END, END, END], [END] * 5, [1, 3, 5, 7, 8]])


def encoded(tokens):
    tokens = jnp.asarray(tokens)
    variables = ENCODER.init(jax.random.PRNGKey(0), jnp.asarray(TOKENS))
    scaled = jax.tree.map(lambda a: 30 * a, variables)  # far from the small initial embeddings
    return jax.jit(ENCODER.apply)(scaled, tokens)


def test_the_visible_tokens_are_the_words_and_the_end():
    assert encoded(TOKENS).num_visible.tolist() == [3, 2, 1, 5]


def test_padding_is_not_read():
    words = encoded(TOKENS)
    for row, count in enumerate(words.num_visible.tolist()):
        alone = words.vectors[row, :count].mean(0)
        np.testing.assert_allclose(words.mean[row], alone, atol=1e-5)


def test_words_and_their_order_change_the_mean():
    words = encoded(np.array([[3, 1, *[END] * 3], [1, 3, *[END] * 3], [3, 2, *[END] * 3]])).mean
    assert np.abs(words[0] - words[1]).max() > 1e-3
    assert np.abs(words[0] - words[2]).max() > 1e-3
