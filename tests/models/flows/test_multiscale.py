"""Multiscale flows on images: each scale's input, what becomes latent, and the code's layout."""

import jax.numpy as jnp
import numpy as np
import pytest

from atelier.data.dataset import Spec
from models.flows import multiscale
from models.flows.bijectors import Squeezed

SPEC = Spec((8, 8), None, None)


def recorded_scales(num_scales):
    """(a flow that only squeezes, the (shape, is_last) passed to each of its scales)."""
    scale_arguments = []

    def scale(shape, is_last):
        scale_arguments.append((shape, is_last))
        height, width, channels = shape
        return [Squeezed()], (height // 2, width // 2, 4 * channels)

    return multiscale.in_scales(SPEC, num_scales, scale, max_scales=3), scale_arguments


def test_half_of_the_channels_goes_on_to_the_next_scale():
    _, scale_arguments = recorded_scales(3)
    assert scale_arguments == [((8, 8, 1), False), ((4, 4, 2), False), ((2, 2, 4), True)]


@pytest.mark.parametrize('num_scales', [1, 2, 3])
def test_a_code_is_a_permutation_of_x_and_decodes_to_it(num_scales):
    flow, _ = recorded_scales(num_scales)
    x = jnp.arange(128.0).reshape(2, 8, 8)
    z, log_det = flow.apply({}, x, method='forward_and_log_det')
    assert z.shape == (2, 64)
    np.testing.assert_array_equal(jnp.sort(z), x.reshape(2, 64))
    np.testing.assert_array_equal(log_det, 0)
    back, _ = flow.apply({}, z, method='inverse_and_log_det')
    np.testing.assert_array_equal(back, x)


def test_a_code_begins_with_the_coarsest_scale():
    """The 32 dimensions that the first of two scales factors out come last."""
    flow, _ = recorded_scales(2)
    x = jnp.arange(64.0).reshape(1, 8, 8)
    first, _ = Squeezed().apply({}, x[..., None], method='forward_and_log_det')
    z, _ = flow.apply({}, x, method='forward_and_log_det')
    np.testing.assert_array_equal(z[0, 32:], first[..., 2:].ravel())


@pytest.mark.parametrize(
    ('shape', 'expected'), [((8, 8), 3), ((28, 28, 1), 2), ((12, 8, 3), 2), ((7, 8), 0)]
)
def test_how_often_an_image_can_be_halved(shape, expected):
    assert multiscale.halvings(Spec(shape, None, None)) == expected


def test_more_scales_than_an_image_has_room_for_are_refused(complaint):
    for num_scales in (0, 4):
        line = complaint(multiscale.check_scales, SPEC, num_scales, 3)
        assert (
            f'config.model.scales={num_scales}: must be from 1 to 3 for images of 8 x 8 pixels'
            in line
        )
    assert 'cannot be halved' in complaint(multiscale.check_scales, SPEC, 1, 0)
    multiscale.check_scales(SPEC, 3, 3)


def test_events_as_vectors():
    flow = multiscale.as_vector(SPEC, ())
    z, _ = flow.apply({}, jnp.ones((3, 8, 8)), method='forward_and_log_det')
    assert z.shape == (3, 64)
