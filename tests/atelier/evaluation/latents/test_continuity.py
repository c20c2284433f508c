"""Continuity of decoders with known steps, and completeness under a known classifier."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import pdist
from support import with_abilities

from atelier.core.abilities import Codes
from atelier.evaluation.latents import continuity as measures
from atelier.evaluation.samples.features import FeatureFunction, FeatureOutput
from atelier.run import restore

ONE = jax.devices()[:1]
pixels = lambda weights, batch, rng: batch['x'].reshape(-1, 64)
as_image = lambda weights, codes: codes.reshape(-1, 8, 8, 1)


def steps_of(run, decode, scale=1.0, devices=ONE):
    """Returns the continuity of a decoder whose codes are the scaled pixels of test examples."""
    codes = scale * np.float32(run.data.splits['test']['x']).reshape(-1, 64)
    measured = with_abilities(run, Codes(decode=decode))
    return measures.continuity(measured, restore.initial_state(run), codes, devices)


@pytest.mark.parametrize('scale', [1.0, 300.0])
def test_a_decoder_that_keeps_proportions_moves_by_the_step(vae, scale):
    """Codes may be in any units."""
    steps = steps_of(vae, lambda weights, codes: as_image(None, codes) / scale, scale)
    assert steps.shape == (447,)
    np.testing.assert_allclose(steps, measures.STEP, rtol=1e-3)


def test_the_continuity_of_a_linear_decoder_is_the_norm_of_its_matrix(vae):
    """Averaged over directions u, |W u|^2 is |W|^2 / latent."""
    matrix = np.random.RandomState(0).normal(size=(64, 64)).astype(np.float32)
    steps = steps_of(vae, lambda weights, codes: as_image(None, codes @ matrix))
    squares = (steps / measures.STEP) ** 2
    error = squares.std() / np.sqrt(len(squares))
    assert abs(squares.mean() - np.sum(matrix**2) / 64) < 5 * error
    assert len(np.unique(steps)) == len(steps)  # each has its own direction


def test_continuity_is_high_for_a_discontinuous_decoder_and_zero_for_a_constant(vae):
    cliff = lambda weights, codes: as_image(None, 1e3 * jnp.sign(codes - 8))
    assert np.quantile(steps_of(vae, cliff), 0.95) > 100 * measures.STEP
    flat = lambda weights, codes: as_image(None, 0 * codes)
    np.testing.assert_array_equal(steps_of(vae, flat), 0)


def test_continuity_does_not_depend_on_the_device_count(vae):
    matrix = np.random.RandomState(0).normal(size=(64, 64)).astype(np.float32)
    decode = lambda weights, codes: as_image(None, codes @ matrix)
    one, many = (steps_of(vae, decode, devices=jax.devices()[:n]) for n in (1, 8))
    np.testing.assert_allclose(many, one, rtol=1e-3)


def test_the_typical_distance_is_the_rms_over_all_pairs():
    x = np.random.RandomState(0).normal(size=(20, 3, 2)) * [1.0, 5.0]
    expected = np.sqrt(np.mean(pdist(x.reshape(20, 6)) ** 2))
    assert measures.typical_distance(x) == pytest.approx(expected)
    assert measures.typical_distance(x[:1]) == 0


def by_brightness(x):
    """A classifier whose confidence grows with brightness."""
    share = x.reshape(len(x), -1).mean(1) / 16
    return FeatureOutput(x, np.stack([0.5 + share / 2, 0.5 - share / 2], 1))


JUDGE = FeatureFunction('brightness', by_brightness)


def completeness(run, **functions):
    """Returns the completeness of a family that has only these functions of `Codes`."""
    measured = with_abilities(run, Codes(**functions))
    return measures.completeness(measured, restore.initial_state(run), JUDGE, ONE)


def test_a_prior_of_real_images_is_accepted_as_often_as_real_images(vae):
    """The prior draws the test examples themselves."""
    x = jnp.float32(vae.data.splits['test']['x']).reshape(-1, 64)
    result = completeness(vae, prior=lambda weights, rng: x[rng.rows], decode=as_image)
    assert result['num_draws'] == 447
    assert result['real'] == pytest.approx(0.95, abs=0.01)  # 0.95 up to ties
    assert result['accepted'] == result['real']
    assert result['codes'] == 'the prior'
    assert result['classifier'] == 'brightness'


def test_codes_that_decode_to_black_images_are_rejected(vae):
    x = jnp.float32(vae.data.splits['test']['x']).reshape(-1, 64)
    prior = lambda weights, rng: x[rng.rows] * (rng.rows % 2 == 0)[:, None]
    result = completeness(vae, prior=prior, decode=as_image)
    assert result['accepted'] == pytest.approx(0.475, abs=0.04)


@pytest.mark.slow
def test_without_a_prior_the_codes_are_of_the_gaussian_of_training_codes(vae):
    """Decoded codes in pixel space are mostly bright enough; all-black codes never are."""
    result = completeness(vae, encode=pixels, decode=as_image)
    assert result['codes'] == 'a Gaussian fitted to 1,000 training codes'
    assert result['accepted'] > 0.9
    black = lambda weights, batch, rng: 0 * pixels(weights, batch, rng)
    assert completeness(vae, encode=black, decode=as_image)['accepted'] == 0
