"""The diffusion transformer: any shape, each row alone, one block to compile."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, scattered

from models.dit import Block, DiT, from_patches, to_patches

pytestmark = pytest.mark.usefixtures('quick_compilation')  # Flax's norms are not strict

LEVELS = jnp.asarray([-2.0, 0.0, 3.0])


def moved(net, *arguments):
    """Parameters away from their start, where the output is 0."""
    return scattered(jax.jit(net.init)(jax.random.PRNGKey(0), *arguments))


@pytest.mark.parametrize('shape', [(6, 4, 3), (5, 7, 1), (7, 2), (1,)])
def test_patches_are_squares_and_lead_back(shape):
    *space, channels = shape
    maps = jnp.arange(2.0 * np.prod(shape)).reshape(2, *shape)
    patches = to_patches(maps, 2)
    assert patches.shape == (2, np.prod([-(-n // 2) for n in space]), 2 ** len(space) * channels)
    np.testing.assert_array_equal(from_patches(patches, tuple(space), 2), maps)
    if len(space) == 2:
        corner = np.asarray(maps[:, :2, 2:4]).reshape(2, -1)
        np.testing.assert_array_equal(patches[:, 1], corner)


@pytest.mark.parametrize('event', [(5, 7, 3), (6,)])
def test_any_shape_and_each_row_alone(event):
    net, x = DiT(2, 8, 2, 2), jax.random.normal(jax.random.PRNGKey(2), (3, *event))
    at_first, apply = jax.jit(net.init)(jax.random.PRNGKey(0), x, LEVELS), jax.jit(net.apply)
    np.testing.assert_array_equal(apply(at_first, x, LEVELS), jnp.zeros((3, *event)))
    params = moved(net, x, LEVELS)
    whole = apply(params, x, LEVELS)
    assert whole.shape == x.shape and whole.dtype == jnp.float32
    others = apply(params, x.at[:2].set(7.0), LEVELS.at[:2].set(0.0))
    np.testing.assert_allclose(others[2], whole[2], rtol=1e-4, atol=1e-4)
    assert np.abs(others[:2] - whole[:2]).max() > 1e-3


def test_noise_level_and_label_matter():
    x = jnp.broadcast_to(jax.random.normal(jax.random.PRNGKey(2), (1, 4, 4)), (3, 4, 4))
    net, label = DiT(2, 8, 1, 2, num_classes=2), jnp.asarray([0, 1, 2])  # 2: any
    params, apply = moved(net, x, LEVELS, label), jax.jit(net.apply)
    by_label = apply(params, x, jnp.zeros(3), label)
    by_level = apply(params, x, LEVELS, jnp.zeros(3, jnp.int32))
    for output in (by_label, by_level):
        pairs = [(0, 1), (0, 2), (1, 2)]
        assert min(float(jnp.abs(output[i] - output[j]).max()) for i, j in pairs) > 1e-3


def test_a_token_sees_all_others_and_its_place():
    """One pixel reaches every patch; patches of the same content are told apart."""
    net, x = DiT(2, 8, 1, 2), jnp.ones((1, 6, 6))
    params, apply = moved(net, x, LEVELS[:1]), jax.jit(net.apply)
    same = apply(params, x, LEVELS[:1])
    tiles = np.asarray(to_patches(same[..., None], 2))[0]
    assert np.abs(tiles[1:] - tiles[0]).max(1).min() > 1e-3
    changed = jnp.abs(apply(params, x.at[0, 0, 0].add(1.0), LEVELS[:1]) - same)
    assert np.asarray(to_patches(changed[..., None], 2)).max(-1).min() > 1e-5


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16])
def test_a_new_block_is_the_identity(dtype):
    """In all of float32's digits: what it adds is rounded, and not the sum."""
    tokens, vector = jax.random.normal(jax.random.PRNGKey(2), (2, 5, 8)), jnp.ones((2, 6))
    block = Block(2, dtype)
    found, _ = jax.jit(block.apply)(
        block.init(jax.random.PRNGKey(0), tokens, vector), tokens, vector
    )
    assert found.dtype == jnp.float32
    np.testing.assert_array_equal(found, tokens)


def test_more_blocks_are_not_more_to_compile():
    def size(blocks):
        net, x = DiT(2, 8, blocks, 2), jnp.zeros((3, 8, 8))
        params = jax.eval_shape(net.init, jax.random.PRNGKey(0), x, LEVELS)
        return jax.jit(net.apply).lower(params, x, LEVELS).as_text().count('\n')

    assert size(6) == size(2)


@pytest.mark.parametrize(
    ('change', 'words'),
    [(dict(model__heads=3), 'do not divide'), (dict(model__patch=0), 'config.model.patch=0')],
)
def test_bad_sizes_end_in_one_line(tmp_path, complaint, change, words):
    assert words in complaint(assembled, tmp_path, 'dit', **change)
