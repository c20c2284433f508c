"""Cross-attention reads each word of a caption, and nothing of its padding."""

import jax
import jax.numpy as jnp
import numpy as np

from models.nets.cross_attention import CrossAttention
from models.nets.text_encoder import EncodedWords

RNG = np.random.RandomState(0)
POSITIONS = jnp.asarray(RNG.normal(size=(1, 3, 8)), jnp.float32)
VECTORS = jnp.asarray(RNG.normal(size=(1, 5, 6)), jnp.float32)


def trained(module, *inputs):
    """Returns the module as a function, with weights that are not initial ones."""
    variables = module.init(jax.random.PRNGKey(0), *inputs)
    leaves, tree = jax.tree.flatten(variables)
    keys = jax.random.split(jax.random.PRNGKey(1), len(leaves))
    moved = [a + jax.random.normal(key, a.shape) for a, key in zip(leaves, keys, strict=True)]
    return lambda *others: module.apply(jax.tree.unflatten(tree, moved), *others)


def words(vectors, num_visible=2):
    return EncodedWords(vectors, jnp.asarray([num_visible]), jnp.zeros((1, 6)))


def test_it_adds_nothing_at_first():
    module = CrossAttention(heads=2)
    variables = module.init(jax.random.PRNGKey(0), POSITIONS, words(VECTORS))
    assert not np.any(module.apply(variables, POSITIONS, words(VECTORS)))


def test_each_visible_word_is_read_and_padding_is_not():
    read = trained(CrossAttention(heads=2), POSITIONS, words(VECTORS))
    before = read(POSITIONS, words(VECTORS))
    for word in range(5):
        after = read(POSITIONS, words(VECTORS.at[0, word].add(1.0)))
        difference = float(jnp.abs(after - before).max())
        assert difference > 1e-3 if word < 2 else difference == 0


def test_the_weights_are_those_of_a_softmax():
    """With one head, against NumPy."""
    module = CrossAttention(heads=1)
    params = module.init(jax.random.PRNGKey(0), POSITIONS, words(VECTORS))['params']
    params['add'] = {'kernel': jnp.eye(8), 'bias': jnp.zeros(8)}
    got = module.apply({'params': params}, POSITIONS, words(VECTORS, 3))[0]
    x, vectors = np.asarray(POSITIONS[0], np.float64), np.asarray(VECTORS[0, :3], np.float64)
    normed = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
    queries = normed @ params['query']['kernel']
    keys, values = np.split(vectors @ np.asarray(params['key_and_value']['kernel']), 2, -1)
    weights = np.exp(queries @ keys.T / np.sqrt(8))
    weights /= weights.sum(-1, keepdims=True)
    np.testing.assert_allclose(got, weights @ values, atol=1e-4)
