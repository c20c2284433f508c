"""Encoded captions do not depend on their padding; words change what other words become."""

import jax
import jax.numpy as jnp
import numpy as np

from atelier.data.conditions.words import END
from models.nets.text_encoder import TextEncoder

ENCODER = TextEncoder(num_tokens=9, text_width=8, text_blocks=2, heads=2)
TOKENS = np.array([[3, 1, END, END, END], [2, END, END, END, END], [END] * 5, [1, 3, 5, 7, 8]])


def encoded(tokens, changed=None):
    tokens = jnp.asarray(tokens)
    variables = ENCODER.init(jax.random.PRNGKey(0), jnp.asarray(TOKENS))
    return jax.jit(ENCODER.apply)(variables if changed is None else changed(variables), tokens)


def test_the_visible_tokens_are_the_words_and_the_end():
    assert encoded(TOKENS).num_visible.tolist() == [3, 2, 1, 5]


def test_padding_is_not_read():
    words = encoded(TOKENS)
    for row, count in enumerate(words.num_visible.tolist()):
        alone = words.vectors[row, :count].mean(0)
        np.testing.assert_allclose(words.mean[row], alone, atol=1e-5)


def test_words_do_not_read_what_follows_the_end():
    """The vector of the last position belongs to padding, in all captions but the longest one."""

    def changed(variables):
        positions = variables['params']['positions'].at[-1].add(jnp.arange(8.0))
        return {'params': {**variables['params'], 'positions': positions}}

    before, after = encoded(TOKENS), encoded(TOKENS, changed)
    for row, count in enumerate(before.num_visible.tolist()):
        difference = float(jnp.abs(before.vectors - after.vectors)[row, :count].max())
        assert difference == 0 if count < 5 else difference > 1e-3


def test_words_and_their_order_change_the_mean():
    words = encoded(np.array([[3, 1, *[END] * 3], [1, 3, *[END] * 3], [3, 2, *[END] * 3]])).mean
    assert np.abs(words[0] - words[1]).max() > 1e-3
    assert np.abs(words[0] - words[2]).max() > 1e-3
