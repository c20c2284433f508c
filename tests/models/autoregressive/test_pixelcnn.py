"""PixelCNN and gated PixelCNN: receptive fields and masks, and rejected configs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, scattered

from atelier import checkout
from atelier.core.abilities import LogProb
from atelier.data.dataset import Spec
from models.autoregressive.causal_conv import CausalConvOptions, Reach, causal_mask, groups_of
from models.autoregressive.gated_pixelcnn import (
    GatedPixelCNNSizes,
    Horizontal,
    Vertical,
    gated_pixelcnn,
)
from models.autoregressive.pixelcnn import PixelCNN, pixelcnn
from models.autoregressive.raster_scan import raster_scan_parts
from models.shared.observations import observation_for

SIDE, LAYERS, REACH = 7, 2, 3  # each of three layers adds one pixel


def plain(observation, kind):
    return pixelcnn(PixelCNN(observation.size, LAYERS, 12, 12, 1, 1, kind))


def gated(observation, kind):
    size = GatedPixelCNNSizes(LAYERS, 12, 12, first_margin=1, margin=1)
    return gated_pixelcnn(Vertical(size, kind), Horizontal(observation.size, size, kind))


def slopes_of(network, shape):
    """max |d parameters of x_i / d x_j| over random x: [i, j]."""
    spec = Spec(shape, 2, None)
    observation = observation_for('bernoulli', spec, 1)
    parts = raster_scan_parts(
        network(observation, CausalConvOptions((*shape, 1)[2])), observation, spec
    )
    x = jax.random.normal(jax.random.PRNGKey(0), (16, *shape))
    weights = jax.jit(parts.init)(jax.random.PRNGKey(1), {'x': x})
    weights = weights._replace(params=scattered(weights.params, seed=2))
    parameters = lambda x: parts.parameters(weights, {'x': x[None]}, 0).ravel()
    slopes = jax.jit(jax.vmap(jax.jacrev(parameters)))(x)
    return np.abs(np.asarray(slopes)).max(0).reshape(x[0].size, x[0].size)


def offsets():
    """(up, right) from pixel i to pixel j, each [i, j]."""
    row, column = np.divmod(np.arange(SIDE * SIDE), SIDE)
    return row[:, None] - row, column - column[:, None]


@pytest.mark.slow
def test_gated_pixelcnn_depends_on_all_earlier_pixels_within_reach():
    up, right = offsets()
    is_before = (up > 0) | ((up == 0) & (right < 0))
    is_within_reach = (up <= REACH) & (np.abs(right) <= REACH)
    np.testing.assert_array_equal(slopes_of(gated, (SIDE, SIDE)) > 0, is_before & is_within_reach)


@pytest.mark.slow
def test_plain_pixelcnn_has_a_blind_spot_above_to_the_right():
    """The blind spot: windows end at their own pixel, so each step right needs one step up."""
    up, right = offsets()
    is_before = (up > 0) | ((up == 0) & (right < 0))
    is_within_reach = (up <= REACH) & (np.abs(right) <= REACH)
    is_blind = right > up
    assert (is_before & is_within_reach & is_blind).any()
    np.testing.assert_array_equal(
        slopes_of(plain, (SIDE, SIDE)) > 0, is_before & is_within_reach & ~is_blind
    )


@pytest.mark.slow
@pytest.mark.parametrize('network', [plain, pytest.param(gated, marks=pytest.mark.slow)])
def test_colours_of_a_pixel_come_one_after_the_other(network):
    slopes = slopes_of(network, (2, 2, 3)) > 0
    np.testing.assert_array_equal(slopes, np.tril(np.ones((12, 12), bool), -1))


def test_features_belong_to_channels_as_evenly_as_may_be():
    for features, channels in [(3, 3), (8, 3), (16, 1), (5, 2)]:
        groups = groups_of(features, channels)
        assert (np.diff(groups) >= 0).all() and {*groups} == {*range(channels)}
        assert np.ptp(np.bincount(groups)) <= 1


def test_masks_are_those_of_the_paper():
    """Masks A and B on RGB as in Figure 2 of Pixel Recurrent Neural Networks."""
    reach, rgb = Reach(1, 1, 1), np.arange(3)
    for is_first, own in [(True, np.triu(np.ones((3, 3)), 1)), (False, np.triu(np.ones((3, 3))))]:
        mask = causal_mask(reach, rgb, rgb, is_first)
        assert mask[0].all() and mask[1, 0].all() and not mask[1, 2].any()
        np.testing.assert_array_equal(mask[1, 1], own)


@pytest.mark.slow
def test_an_odd_kernel_of_another_size_and_any_precision(tmp_path):
    """A 5x5 kernel in bfloat16 builds, and log p(x) stays float32."""
    run = assembled(tmp_path, 'gated_pixelcnn', model__kernel_size=5, train__precision='bfloat16')
    batch = {'x': jnp.zeros((2, 8, 8, 1))}
    weights = run.family.init(jax.random.PRNGKey(0), batch)
    assert run.family.ability(LogProb).nats(weights, batch, None).dtype == jnp.float32


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(model__blocks=0), 'config.model.blocks=0'),
        (dict(model__kernel_size=4), 'config.model.kernel_size=4: give an odd number, 3 or more'),
        (dict(model__first_kernel_size=1), 'config.model.first_kernel_size=1'),
        (dict(model__width=0), 'config.model.width=0'),
        (dict(model__conv_form='fast'), 'config.model.conv_form'),
        (dict(model__observation='gaussian'), '17 levels'),
    ],
)
@pytest.mark.parametrize('name', ['pixelcnn', 'gated_pixelcnn'])
def test_bad_settings_end_in_one_line(tmp_path, complaint, name, change, message):
    assert message in complaint(assembled, tmp_path, name, **change)


@pytest.mark.parametrize('name', ['pixelcnn', 'gated_pixelcnn'])
@pytest.mark.parametrize(
    ('spec', 'change', 'message'),
    [
        (Spec((2,), None, None), {}, 'is not an image'),
        (Spec((8, 8, 3), 4, None), dict(width=2), 'config.model.width=2'),
        (Spec((8, 8, 1), 4, None), dict(is_conditional=True), 'digits has no labels'),
    ],
)
def test_unfit_data_end_in_one_line(complaint, name, spec, change, message):
    config_file = checkout.config_file(f'{checkout.ROOT}/configs/{name}.py')
    config = config_file.config().unlock()
    config.model.update(change)
    assert message in complaint(config_file.module().build, config, spec)
