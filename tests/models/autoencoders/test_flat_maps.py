"""A VAE whose code is a map: its flat codes keep positions and channels in their places."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, first_batch

from atelier import checkout
from atelier.core.abilities import BitsBack, Codes, LogProb, Sample
from atelier.core.randomness import rng_for
from atelier.data.dataset import Spec
from atelier.run import restore
from models.autoencoders.flat_maps import FlatPosterior


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """8x8 digits, a map of 4x4 positions and 2 channels, and no residual blocks."""
    folder = tmp_path_factory.mktemp('run')
    return assembled(folder, 'map_vae', model__latent_channels=2, model__block_channels=())


@pytest.fixture(scope='module')
def weights(run):
    return restore.initial_state(run).weights


def test_a_code_is_flat_and_its_map_is_known(run):
    codes = run.family.ability(Codes)
    assert codes.map_shape == (4, 4, 2)
    assert codes.dims == ()
    assert all(run.family.ability(kind) for kind in (Sample, LogProb, BitsBack))


def test_a_position_of_the_code_belongs_to_its_pixels(run, weights):
    """In both directions: the encoder reads near pixels, the decoder writes near pixels."""
    codes, x = run.family.ability(Codes), first_batch(run, 1)['x']
    x = jnp.concatenate([x, x.at[:, 0, 0].add(5.0)])
    mean, log_var = jax.jit(lambda x: codes.posterior(weights, {'x': x}, None))(x)
    for maps in (mean.reshape(2, 4, 4, 2), log_var.reshape(2, 4, 4, 2)):
        apart = maps[0] - maps[1]
        assert np.all(apart[0, 0] != 0)
        assert np.all(apart[1:] == 0) and np.all(apart[:, 1:] == 0)
    z = mean.at[1].set(mean[0].reshape(4, 4, 2).at[3, 3, 1].add(5.0).ravel())
    x = jax.jit(codes.decode)(weights, z).reshape(2, 8, 8)
    apart = x[0] - x[1]
    assert np.all(apart[-2:, -2:] != 0)
    assert np.all(apart[:3] == 0) and np.all(apart[:, :3] == 0)


def test_means_and_log_variances_are_the_two_halves_of_the_channels():
    """Position by position: all means, then all log variances, in one order."""
    maps = jnp.arange(2.0 * 3 * 2 * 4).reshape(2, 3, 2, 4)
    mean, log_var = jnp.split(
        FlatPosterior(nn.Dropout(0.0, deterministic=True)).apply({}, maps), 2, -1
    )
    np.testing.assert_array_equal(mean.reshape(2, 3, 2, 2), maps[..., :2])
    np.testing.assert_array_equal(log_var.reshape(2, 3, 2, 2), maps[..., 2:])


@pytest.mark.parametrize(
    ('shape', 'levels', 'map_shape'),
    [
        ((28, 28, 1), 2, (7, 7, 1)),
        ((9, 6, 3), 256, (3, 2, 1)),
        ((11,), None, (3, 1)),
    ],
)
def test_any_images_and_signals(shape, levels, map_shape):
    config_file = checkout.ConfigFile('configs/map_vae.py', 'arrays,debug')
    family = config_file.module().build(config_file.config(), Spec(shape, levels, None))
    batch = {'x': jnp.zeros((8, *shape))}

    def codes_and_x(key):
        weights, rng = family.init(key, batch), rng_for(key, jnp.arange(8), 8)
        z = family.ability(Codes).encode(weights, batch, rng)
        return z, family.ability(Codes).decode(weights, z)

    z, x = jax.eval_shape(codes_and_x, jax.random.PRNGKey(0))
    assert family.ability(Codes).map_shape == map_shape
    assert z.shape == (8, math.prod(map_shape))
    assert x.shape == (8, *shape)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(model__latent_channels=0), 'model.latent_channels'),
        (dict(model__channels=()), 'model.channels'),
        (dict(model__block_channels=(0,)), 'model.block_channels'),
    ],
)
def test_bad_settings_end_in_one_line(tmp_path, complaint, changes, message):
    assert message in complaint(assembled, tmp_path, 'map_vae', **changes)
