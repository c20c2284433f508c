"""Codes drawn from the prior, or from a Gaussian fitted to training codes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import with_abilities

from atelier.core.abilities import Codes
from atelier.core.code_space import code_space
from atelier.core.randomness import Stream, key_for
from atelier.core.stages import merged_state
from atelier.evaluation.codes import prior_draws
from atelier.evaluation.codes.encoding import codes_from_prior
from atelier.run import restore
from atelier.run.experiment import Parent

ONE = jax.devices()[:1]
KEY = jax.random.PRNGKey(5)


def coder(run):
    """An autoencoder with three sums of pixels as codes; the third depends on the first two."""
    matrix = np.random.RandomState(0).normal(size=(64, 3))
    matrix[:, 2] = matrix[:, 0] - matrix[:, 1]
    matrix = jnp.asarray(matrix, jnp.float32)
    return with_abilities(
        run,
        Codes(
            encode=lambda weights, batch, rng: batch['x'].reshape(-1, 64) @ matrix + 4.0,
            decode=lambda weights, codes: codes[:, :1].repeat(64, 1).reshape(-1, 8, 8, 1),
        ),
    )


def test_a_family_with_a_prior_draws_from_it(vae):
    state = restore.initial_state(vae)
    draws = prior_draws.code_draws(vae, state, ONE)
    assert draws.description == 'the prior'
    np.testing.assert_array_equal(draws.draw(KEY, 6), codes_from_prior(vae, state, KEY, 6, ONE))


def test_a_family_without_one_draws_from_the_gaussian_of_its_training_codes(vae):
    run = coder(vae)
    draws = prior_draws.code_draws(run, restore.initial_state(vae), ONE)
    assert draws.description == 'a Gaussian fitted to 1,000 training codes'
    drawn = draws.draw(KEY, 20_000)
    batch = {'x': jnp.float32(vae.data.splits['train']['x'])}
    codes = np.asarray(run.family.ability(Codes).encode(None, batch, None), np.float64)
    error = codes.std(0) / np.sqrt(len(drawn))
    assert np.all(np.abs(drawn.mean(0) - codes.mean(0)) < 5 * error)
    code_covariance, draw_covariance = np.cov(codes.T), np.cov(drawn.T)
    scale = np.sqrt(np.outer(np.diag(code_covariance), np.diag(code_covariance)))
    assert np.abs((draw_covariance - code_covariance) / scale).max() < 5 * np.sqrt(2 / len(drawn))
    np.testing.assert_allclose(drawn[:, 2] - 4, drawn[:, 0] - drawn[:, 1], atol=1e-3)


def test_a_code_draw_depends_on_key_and_index_alone(vae):
    run, state = coder(vae), restore.initial_state(vae)
    draws, on_eight = (
        prior_draws.code_draws(run, state, devices).draw for devices in (ONE, jax.devices())
    )
    many = draws(KEY, 40)
    np.testing.assert_array_equal(draws(KEY, 7), many[:7])
    np.testing.assert_allclose(on_eight(KEY, 40), many, rtol=1e-4, atol=1e-3)
    assert not np.any(draws(jax.random.PRNGKey(6), 40) == many)
    assert len(np.unique(many[:, 0])) == 40


def of_codes(parent):
    """A run of codes of `parent` as it is used, but for its family; and a State of both."""
    state = restore.initial_state(parent)
    space = code_space(parent.family, 'means', 'the parent') if has_encoder(parent) else None
    run = parent._replace(child=parent, parent=Parent(parent, '', 0, space))
    return run, merged_state(state.replace(params={}, extra={}, ema={}), state)


def has_encoder(run):
    return run.family.ability(Codes).encode is not None


def test_the_parent_of_a_run_of_codes_samples_from_one_gaussian(vae):
    """As the parent itself does; a parent with a prior has samples of its own."""
    parent = coder(vae)
    run, state = of_codes(parent)
    run = run._replace(family=with_abilities(vae).family)  # that of the composition is not used
    key = key_for(state.key, Stream.SAMPLE)
    own, _ = prior_draws.decoded_draws(parent, restore.initial_state(parent), key, 7, ONE)
    np.testing.assert_array_equal(prior_draws.one_gaussian_samples(run, state, 7, ONE), own)
    for other in (with_abilities(vae, Codes(prior=len, decode=len)), vae):
        assert prior_draws.one_gaussian_samples(of_codes(other)[0], state, 7, ONE) is None
    assert prior_draws.one_gaussian_samples(parent, state, 7, ONE) is None  # no run of codes


def test_a_gaussian_is_fitted_to_few_codes():
    """Fewer codes than dimensions, and a single code."""
    random = np.random.RandomState(0)
    for n in (1, 3):
        codes = random.normal(size=(n, 8))
        mean, root = prior_draws.fitted_gaussian(codes)
        np.testing.assert_allclose(mean, codes.mean(0))
        np.testing.assert_allclose(root @ root, np.cov(codes.T, ddof=0), atol=1e-7)
        np.testing.assert_array_equal(np.isfinite(root), True)


@pytest.mark.parametrize(
    ('codes', 'can'),
    [
        (Codes(decode=len), False),
        (Codes(encode=len, decode=len), True),
        (Codes(prior=len, decode=len), True),
        (Codes(prior=len, encode=len), False),
    ],
)
def test_families_with_a_decoder_and_a_prior_or_encoder_can_draw_codes(vae, codes, can):
    family = with_abilities(vae, codes).family
    assert prior_draws.can_draw_codes(family) == can
