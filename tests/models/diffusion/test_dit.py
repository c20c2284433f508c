"""The diffusion transformer alone; test_unet.py compares it with the other networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, scattered

from models.diffusion.dit import Block, DiT
from models.nets.patches import to_patches

LEVELS = jnp.asarray([-2.0, 0.0, 3.0])


@pytest.mark.slow
def test_a_token_depends_on_all_others_and_on_its_position():
    """One pixel affects every patch; patches with equal content give different outputs."""
    net, x = DiT(2, 8, 1, 2), jnp.ones((1, 6, 6))
    params = scattered(jax.jit(net.init)(jax.random.PRNGKey(0), x, LEVELS[:1]))
    apply = jax.jit(net.apply)
    output = apply(params, x, LEVELS[:1])
    tiles = np.asarray(to_patches(output[..., None], 2)).reshape(9, 4)
    assert np.abs(tiles[1:] - tiles[0]).max(1).min() > 1e-3
    changed = jnp.abs(apply(params, x.at[0, 0, 0].add(1.0), LEVELS[:1]) - output)
    assert np.asarray(to_patches(changed[..., None], 2)).max(-1).min() > 1e-5


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16])
def test_a_new_block_is_the_identity(dtype):
    """Exact in float32: the block rounds what it adds, not the sum."""
    tokens, vector = jax.random.normal(jax.random.PRNGKey(2), (2, 5, 8)), jnp.ones((2, 6))
    block = Block(2, dtype)
    output, _ = jax.jit(block.apply)(
        jax.jit(block.init)(jax.random.PRNGKey(0), tokens, vector), tokens, vector
    )
    assert output.dtype == jnp.float32
    np.testing.assert_array_equal(output, tokens)


@pytest.mark.parametrize(
    ('change', 'message'),
    [(dict(model__heads=3), 'do not divide'), (dict(model__patch=0), 'config.model.patch=0')],
)
def test_bad_sizes_end_in_one_line(tmp_path, complaint, change, message):
    assert message in complaint(assembled, tmp_path, 'dit', **change)
