"""Networks read captions: an untrained one does not, a changed word changes a trained one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.diffusion.dit import DiT
from models.diffusion.unet import UNet
from models.diffusion.words import ReadsWords
from models.nets.text_encoder import EncodedWords, TextEncoder

ENCODER = TextEncoder(num_tokens=9, text_width=8, text_blocks=1, heads=2)
BODIES = {
    'dit': DiT(patch=2, width=8, blocks=2, heads=2, num_classes=8),
    'unet': UNet(channels=(8, 8), blocks=1, attention=(1,), num_classes=8),
}
X = jnp.asarray(np.random.RandomState(0).normal(size=(2, 4, 4, 3)), jnp.float32)
LEVEL, TOKENS = jnp.zeros(2), jnp.asarray([[3, 1, 0], [2, 0, 0]])


def moved(variables):
    """Returns weights that are not initial ones."""
    leaves, tree = jax.tree.flatten(variables)
    keys = jax.random.split(jax.random.PRNGKey(1), len(leaves))
    each = [a + jax.random.normal(key, a.shape) for a, key in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(tree, each)


@pytest.mark.parametrize('name', ['dit', pytest.param('unet', marks=pytest.mark.slow)])
def test_a_word_changes_the_output_of_its_row_only(name):
    network = ReadsWords(BODIES[name], ENCODER)
    variables = jax.jit(network.init)(jax.random.PRNGKey(0), X, LEVEL, TOKENS)
    apply = jax.jit(network.apply)
    assert not np.any(apply(variables, X, LEVEL, TOKENS))  # the last layer starts at 0
    trained = moved(variables)
    before = apply(trained, X, LEVEL, TOKENS)
    after = apply(trained, X, LEVEL, TOKENS.at[1, 0].set(4))
    np.testing.assert_allclose(before[0], after[0], atol=1e-4)
    assert np.abs(before[1] - after[1]).max() > 1e-2


@pytest.mark.parametrize('name', ['dit', pytest.param('unet', marks=pytest.mark.slow)])
def test_the_words_are_read_besides_their_mean(name):
    body, features = BODIES[name], jnp.zeros((2, 9))
    words = EncodedWords(jnp.ones((2, 3, 8)), jnp.asarray([3, 2]), jnp.zeros((2, 8)))
    variables = jax.jit(body.init)(jax.random.PRNGKey(0), X, LEVEL, features, words)
    apply = jax.jit(lambda words: body.apply(moved(variables), X, LEVEL, features, words))
    after = words._replace(vectors=words.vectors.at[1, 1].add(1.0))
    difference = np.abs(apply(words) - apply(after)).max((1, 2, 3))
    assert difference[0] < 1e-5 and difference[1] > 1e-3


@pytest.mark.parametrize('name', BODIES)
def test_a_network_without_words_has_no_cross_attention(name):
    init = lambda: BODIES[name].init(jax.random.PRNGKey(0), X, LEVEL, jnp.zeros(2, jnp.int32))
    paths = jax.tree_util.tree_leaves_with_path(jax.eval_shape(init))
    assert not any('CrossAttention' in str(path) for path, _ in paths)
