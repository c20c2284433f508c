"""The pooling encoder and upsampling decoder: Flax's pooling, any image shape, the tutorial."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.nets.conv_encoder_decoder import ConvDecoder, ConvEncoder
from models.nets.pooling_encoder_decoder import PoolingDecoder, PoolingEncoder, max_pool, repeat

pytestmark = pytest.mark.usefixtures('strict_promotion')

PAIRS = {
    'pooling': (PoolingEncoder, PoolingDecoder),
    'strides': (ConvEncoder, ConvDecoder),
}
SLOW = pytest.mark.slow
CASES = [
    pytest.param((8, 8, 1), 'pooling', True, marks=SLOW),
    pytest.param((13, 9, 3), 'pooling', True, marks=SLOW),
    ((7, 10), 'pooling', False),
    pytest.param((21,), 'pooling', True, marks=SLOW),
    pytest.param((5, 1, 2), 'pooling', False, marks=SLOW),
    ((13, 9, 3), 'strides', True),
    pytest.param((21,), 'strides', True, marks=SLOW),
]


@pytest.mark.parametrize('shape', [(2, 8, 6, 3), (2, 7, 5, 1), (3, 9, 2), (1, 1, 4, 2)])
def test_max_pooling_is_flaxs(shape):
    """Values and gradients match on inputs without ties."""
    x = jax.random.normal(jax.random.PRNGKey(0), shape)
    window = (2,) * (len(shape) - 2)
    theirs = lambda x: nn.max_pool(x, window, window, 'SAME')
    np.testing.assert_array_equal(jax.jit(max_pool)(x), theirs(x))
    slope, expected = (jax.grad(lambda x, f=f: jnp.sum(f(x) ** 3))(x) for f in (max_pool, theirs))
    np.testing.assert_allclose(slope, expected, rtol=1e-6)


def test_repeating_is_the_nearest_neighbour():
    x = jax.random.normal(jax.random.PRNGKey(0), (2, 4, 3, 2))
    expected = jax.image.resize(x, (2, 8, 6, 2), 'nearest')
    np.testing.assert_array_equal(repeat(x, (8, 6)), expected)
    np.testing.assert_array_equal(repeat(x, (7, 5)), expected[:, :7, :5])
    np.testing.assert_array_equal(max_pool(repeat(x, (7, 5))), x)


@pytest.mark.parametrize(('event_shape', 'body', 'are_codes_maps'), CASES)
def test_any_image_shape(event_shape, body, are_codes_maps):
    """The code depends on every pixel, and every output depends on the code."""
    options = dict(channels=(3, 4, 5), kernel_size=3, activation=jnp.tanh)
    options['has_dense'] = not are_codes_maps
    make_encoder, make_decoder = PAIRS[body]
    encoder = make_encoder(event_shape, (), (-1 if are_codes_maps else 4,), **options)
    decoder = make_decoder(event_shape, (), event_shape, **options)

    @jax.jit
    def through(x):
        codes, params = encoder.init_with_output(jax.random.PRNGKey(1), x)
        gradient = jax.grad(lambda x: jnp.sum(encoder.apply(params, x) ** 2))(x)
        return codes, gradient, decoder.init_with_output(jax.random.PRNGKey(3), codes)[0]

    x = jax.random.normal(jax.random.PRNGKey(0), (20, *event_shape))
    codes, gradient, outputs = map(np.asarray, through(x))
    maps = 5 * np.prod([-(-size // 8) for size in event_shape[:2]])
    assert codes.shape == (20, maps if are_codes_maps else 4)
    assert np.all(np.any(gradient != 0, axis=0))
    assert outputs.shape == x.shape
    assert np.all(outputs.std(0) > 0)


def test_the_tutorials_networks():
    """Conv 32, pool, conv 32, pool: 7x7x32; conv 32, up, conv 32, up, conv 1; all kernels 3x3."""
    event, options = (28, 28, 1), dict(channels=(32, 32), kernel_size=3, has_dense=False)
    encoder = PoolingEncoder(event, (), (-1,), **options)
    decoder = PoolingDecoder(event, (), event, **options)
    x = jnp.zeros((2, *event))
    shapes = lambda network, x: [
        leaf.shape
        for leaf in jax.tree.leaves(jax.eval_shape(network.init, jax.random.PRNGKey(0), x))
    ]
    codes, params = jax.eval_shape(encoder.init_with_output, jax.random.PRNGKey(0), x)
    assert codes.shape == (2, 7 * 7 * 32)
    encoder_shapes = [leaf.shape for leaf in jax.tree.leaves(params['params'])]
    assert encoder_shapes == [(32,), (3, 3, 1, 32), (32,), (3, 3, 32, 32)]
    decoder_shapes = shapes(decoder, codes)
    assert decoder_shapes == [(32,), (3, 3, 32, 32), (32,), (3, 3, 32, 32), (1,), (3, 3, 32, 1)]


@pytest.mark.slow
def test_both_forms_are_one_network():
    event = (9, 6, 2)
    x = jax.random.normal(jax.random.PRNGKey(0), (3, *event))
    values = []
    for form in ('matmul', 'lax'):
        encoder = PoolingEncoder(event, (), (4,), (3, 4), form=form)
        values.append(encoder.apply(encoder.init(jax.random.PRNGKey(1), x), x))
    np.testing.assert_allclose(*values, atol=1e-5)
