"""The convolutional encoder and decoder: any image shape, mirrored stages, equal forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from marks import exhaustive_but

from models.nets.conv_encoder_decoder import ConvDecoder, ConvEncoder, stage_shapes

pytestmark = pytest.mark.usefixtures('strict_promotion')

CHANNELS = (3, 4, 5)
EVENTS = [(8, 8, 1), (13, 9, 3), (7, 10), (21,), (5, 1, 2)]


def test_stages_halve_and_round_up():
    assert stage_shapes((28, 28), 3) == [(28, 28), (14, 14), (7, 7), (4, 4)]
    assert stage_shapes((13, 1), 2) == [(13, 1), (7, 1), (4, 1)]


@pytest.mark.slow
@pytest.mark.parametrize('event_shape', exhaustive_but(EVENTS[1::2], EVENTS))
@pytest.mark.parametrize('kernel_size', [3, 4])
def test_any_image_shape(event_shape, kernel_size):
    """The output has the event's shape, and every output depends on z."""
    options = dict(
        channels=CHANNELS, kernel_size=kernel_size, hidden_sizes=(6,), activation=jnp.tanh
    )
    encoder = ConvEncoder(event_shape, output_shape=(4,), **options)
    decoder = ConvDecoder(event_shape, output_shape=(*event_shape, 2), **options)
    x = jax.random.normal(jax.random.PRNGKey(0), (2, *event_shape))
    params = jax.jit(encoder.init)(jax.random.PRNGKey(1), x)
    assert encoder.apply(params, x).shape == (2, 4)
    gradient = jax.grad(lambda x: jnp.sum(encoder.apply(params, x) ** 2))(x)
    assert np.all(np.any(np.asarray(gradient) != 0, axis=0))  # every pixel matters
    z = jax.random.normal(jax.random.PRNGKey(2), (20, 4))
    params = jax.jit(decoder.init)(jax.random.PRNGKey(3), z)
    outputs = np.asarray(decoder.apply(params, z))
    assert outputs.shape == (20, *event_shape, 2)
    assert np.all(outputs.std(0) > 0)


def test_the_stages_have_the_given_channels():
    event = (13, 9, 3)
    encoder = ConvEncoder(event, (), (4,), CHANNELS)
    decoder = ConvDecoder(event, (), (*event, 2), CHANNELS)
    kernels = lambda network, example: [
        leaf.shape
        for path, leaf in jax.tree_util.tree_leaves_with_path(
            jax.eval_shape(network.init, jax.random.PRNGKey(0), example)
        )
        if leaf.ndim == 4
    ]
    encoder_kernels = kernels(encoder, jnp.zeros((1, *event)))
    decoder_kernels = kernels(decoder, jnp.zeros((1, 4)))
    assert encoder_kernels == [(4, 4, 3, 3), (4, 4, 3, 4), (4, 4, 4, 5)]
    assert decoder_kernels == [(4, 4, 5, 4), (4, 4, 4, 3), (4, 4, 3, 6)]


def test_both_forms_are_one_network():
    event = (9, 6, 2)
    x = jax.random.normal(jax.random.PRNGKey(0), (3, *event))
    outputs = []
    for form in ('matmul', 'lax'):
        encoder = ConvEncoder(event, (), (4,), CHANNELS, form=form)
        output, _ = jax.jit(encoder.init_with_output)(jax.random.PRNGKey(1), x)
        outputs.append(output)
    np.testing.assert_allclose(*outputs, atol=1e-5)


@pytest.mark.slow
def test_bfloat16_is_of_the_products_alone():
    event = (8, 8, 1)
    x = jax.random.normal(jax.random.PRNGKey(0), (3, *event))
    half, full = (
        ConvEncoder(event, (5,), (4,), CHANNELS, dtype=d) for d in ('bfloat16', 'float32')
    )
    params = jax.jit(half.init)(jax.random.PRNGKey(1), x)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype('float32')}
    difference = np.abs(half.apply(params, x) - full.apply(params, x))
    assert half.apply(params, x).dtype == jnp.float32
    assert 0 < difference.max() < 0.1
