"""Diffusion networks: any image shape, independent rows, and small compiled programs."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import scattered

from models.diffusion.dit import DiT
from models.diffusion.noise_embedding import LEVEL_WAVELENGTHS, ConditionedMLP, waves
from models.diffusion.unet import ResidualBlock, UNet, UNetOptions
from models.nets.patches import from_patches, to_patches

LEVELS = jnp.asarray([-2.0, 0.0, 3.0])
SLOW = functools.partial(pytest.param, marks=pytest.mark.slow)


def network(name, num_classes=0, blocks=1):
    if name == 'mlp':
        return ConditionedMLP(8, 2, num_classes)
    if name == 'dit':
        return DiT(2, 8, blocks, 2, num_classes)
    return UNet((8, 8), blocks, attention=(1,), num_classes=num_classes)


def nonzero_params(net, *arguments):
    """Parameters with noise in zero-initialized layers, which make the initial output 0."""
    return scattered(jax.jit(net.init)(jax.random.PRNGKey(0), *arguments))


@pytest.mark.parametrize(
    ('name', 'event'),
    [
        SLOW('unet', (8, 8)),
        SLOW('unet', (7, 5, 3)),
        SLOW('unet', (12,)),
        SLOW('mlp', (2,)),
        SLOW('mlp', (4, 3)),
        ('mlp', ()),
        SLOW('dit', (5, 7, 3)),
        SLOW('dit', (6,)),
    ],
)
def test_any_shape_and_each_row_alone(name, event):
    net, x = network(name), jax.random.normal(jax.random.PRNGKey(2), (3, *event))
    initial_params, apply = jax.jit(net.init)(jax.random.PRNGKey(0), x, LEVELS), jax.jit(net.apply)
    np.testing.assert_array_equal(apply(initial_params, x, LEVELS), jnp.zeros((3, *event)))
    params = nonzero_params(net, x, LEVELS)
    whole = apply(params, x, LEVELS)
    assert whole.shape == x.shape and whole.dtype == jnp.float32
    changed = apply(params, x.at[:2].set(7.0), LEVELS.at[:2].set(0.0))
    np.testing.assert_allclose(changed[2], whole[2], rtol=1e-4, atol=1e-4)
    assert np.abs(changed[:2] - whole[:2]).max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize('name', [SLOW('unet'), SLOW('mlp'), 'dit'])
def test_noise_level_and_label_matter(name):
    x = jnp.broadcast_to(jax.random.normal(jax.random.PRNGKey(2), (1, 8, 8)), (3, 8, 8))
    net, label = network(name, num_classes=2), jnp.asarray([0, 1, 2])  # 2: no class
    params, equal_levels = nonzero_params(net, x, LEVELS, label), jnp.zeros(3)
    apply = jax.jit(net.apply)
    by_label = apply(params, x, equal_levels, label)
    by_level = apply(params, x, LEVELS, jnp.zeros(3, jnp.int32))
    for output in (by_label, by_level):
        pairs = [(0, 1), (0, 2), (1, 2)]
        assert min(float(jnp.abs(output[i] - output[j]).max()) for i, j in pairs) > 1e-3


@pytest.mark.parametrize('name', [SLOW('unet'), 'dit'])
def test_more_blocks_are_not_more_to_compile(name):
    """Blocks are scanned (in a U-Net, by twos): four give about as much code as two."""

    def size(blocks):
        net, x = network(name, blocks=blocks), jnp.zeros((3, 8, 8))
        params = jax.eval_shape(net.init, jax.random.PRNGKey(0), x, LEVELS)
        lowered = jax.jit(net.apply).lower(params, x, LEVELS)
        return lowered.as_text().count('\n')

    assert size(4) < 1.1 * size(2)


@pytest.mark.slow
def test_bfloat16_rounds_the_residual_and_not_the_sum():
    """A new block adds 0: it returns x, or x through its linear map, in full float32 precision."""
    x, vector = jax.random.normal(jax.random.PRNGKey(2), (2, 4, 4, 8)), jnp.ones((2, 6))
    for features in (8, 4):
        net = ResidualBlock(features, True, UNetOptions(dtype=jnp.bfloat16))
        params = jax.jit(net.init)(jax.random.PRNGKey(0), x, vector)
        y = jax.jit(net.apply)(params, x, vector)
        assert y.dtype == jnp.float32
        expected = np.asarray(x, np.float64)
        if features != 8:
            expected = expected @ np.asarray(params['params']['through']['kernel'], np.float64)
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_bfloat16_is_near_float32_but_not_equal():
    x = jax.random.normal(jax.random.PRNGKey(2), (3, 8, 8))
    nets = [
        UNet((8, 8), 1, (1,), options=UNetOptions(dtype=dtype))
        for dtype in (jnp.float32, jnp.bfloat16)
    ]
    params = nonzero_params(nets[0], x, LEVELS)
    exact, rounded = (jax.jit(net.apply)(params, x, LEVELS) for net in nets)
    assert rounded.dtype == jnp.float32
    relative_error = float(jnp.abs(rounded - exact).max() / jnp.abs(exact).max())
    assert 1e-4 < relative_error < 0.05


@pytest.mark.slow
def test_patches_are_positions_of_the_u_net():
    x = jax.random.normal(jax.random.PRNGKey(2), (3, 7, 5))
    plain, patched = (UNet((8, 8), 1, (1,), patch=patch) for patch in (1, 2))
    params = nonzero_params(patched, x, LEVELS)
    expected = jax.jit(plain.apply)(params, to_patches(x[..., None], 2), LEVELS)
    output = jax.jit(patched.apply)(params, x, LEVELS)
    np.testing.assert_allclose(
        output, from_patches(expected, (7, 5), 2)[..., 0], rtol=1e-5, atol=1e-5
    )


@pytest.mark.slow
def test_the_middle_attends_where_the_coarsest_resolution_does():
    def attends(attention):
        net, x = UNet((8, 8), 1, attention), jnp.zeros((3, 8, 8))
        params = jax.eval_shape(net.init, jax.random.PRNGKey(0), x, LEVELS)['params']
        parts = {'first': 'Scan_Down_0', 'last': 'Scan_Down_1'}
        blocks = {name: params[part]['ResidualBlock_0'] for name, part in parts.items()}
        blocks['middle'] = params['ResidualBlock_0']
        return {name for name, block in blocks.items() if 'Attention_0' in block}

    assert attends(()) == set()
    assert attends((0,)) == {'first'}
    assert attends((1,)) == {'last', 'middle'}


def test_waves_distinguish_noise_levels():
    features = waves(jnp.linspace(-10.0, 10.0, 201), 32, LEVEL_WAVELENGTHS)
    assert features.shape == (201, 32)
    assert np.linalg.norm(np.diff(features, axis=0), axis=1).min() > 0.1
