"""Inpainting by repeated reconstruction against PPCA, whose conditional is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, first_batch

from atelier.core import devices as device_lib
from atelier.core.abilities import Inpaint
from atelier.core.randomness import rng_for, standard_normal
from atelier.core.types import Weights
from atelier.data.dataset import Spec
from atelier.run import restore
from atelier.run.over_examples import over_examples
from models.shared.reconstruction_inpainting import by_reconstruction

DIMS, LATENT, NOISE, ROWS = 4, 2, 0.5, 4000
KNOWN, VALUES = np.array([True, True, False, False]), np.array([4.0, -3.0])
LOADINGS = np.random.default_rng(3).normal(size=(DIMS, LATENT))
OFFSET = np.array([0.3, -0.2, 0.6, 0.0])
INVERSE = np.linalg.inv(LOADINGS.T @ LOADINGS + NOISE**2 * np.eye(LATENT))
ROOT = np.linalg.cholesky(NOISE**2 * INVERSE)  # Cholesky factor of the posterior covariance


def parts(is_drawn):
    """(codes, decode): draws z from the exact posterior, and x from p(x | z) or its mean."""

    def codes(weights, batch, rng):
        noise = standard_normal(rng.keys, LATENT + DIMS)
        z = (batch['x'] - OFFSET) @ LOADINGS @ INVERSE + noise[:, :LATENT] @ ROOT.T
        return jnp.concatenate([z, is_drawn * NOISE * noise[:, LATENT:]], -1)

    def decode(weights, codes):
        return OFFSET + codes[:, :LATENT] @ LOADINGS.T + codes[:, LATENT:]

    return codes, decode


def conditional():
    """Exact mean and covariance of the hidden dimensions given the known ones."""
    covariance = LOADINGS @ LOADINGS.T + NOISE**2 * np.eye(DIMS)
    gain = covariance[2:, :2] @ np.linalg.inv(covariance[:2, :2])
    return OFFSET[2:] + gain @ (VALUES - OFFSET[:2]), covariance[2:, 2:] - gain @ covariance[:2, 2:]


def narrower_covariance():
    """Covariance if x is the decoder's mean: the fixed point of S = A S A^T + W cov(z) W^T."""
    transition = LOADINGS[2:] @ INVERSE @ LOADINGS[2:].T
    added_covariance = LOADINGS[2:] @ ROOT @ ROOT.T @ LOADINGS[2:].T
    covariance = np.zeros((2, 2))
    for _ in range(2000):
        covariance = transition @ covariance @ transition.T + added_covariance
    return covariance


def filled_in(is_drawn, rows=ROWS, hidden=0.0, iterations=50):
    inpaint = by_reconstruction(Spec((DIMS,), None, None), *parts(is_drawn), iterations)
    x = np.full((rows, DIMS), hidden, np.float32)
    x[:, :2] = VALUES
    batch = {'x': jnp.asarray(x), 'known': jnp.broadcast_to(jnp.float32(KNOWN), x.shape)}
    rng = rng_for(jax.random.PRNGKey(0), jnp.arange(rows), rows)
    return np.asarray(jax.jit(inpaint.fill)(Weights({}, {}), batch, rng))


@pytest.mark.parametrize('is_drawn', [False, True])
def test_the_chain_ends_in_the_conditional(is_drawn):
    """If x is drawn, mean and covariance are exact; with x its mean, the covariance is narrower."""
    x = filled_in(is_drawn)
    np.testing.assert_array_equal(x[:, :2], np.broadcast_to(np.float32(VALUES), (ROWS, 2)))
    mean, exact_covariance = conditional()
    covariance = exact_covariance if is_drawn else narrower_covariance()
    variances = np.diag(covariance)
    assert np.all(np.abs(x[:, 2:].mean(0) - mean) < 4 * np.sqrt(variances / ROWS))
    error = np.sqrt((np.outer(variances, variances) + covariance**2) / ROWS)
    assert np.all(np.abs(np.cov(x[:, 2:].T) - covariance) < 4 * error)
    assert np.all(np.diag(exact_covariance - narrower_covariance()) > 0.8 * NOISE**2)
    mean_after_one = filled_in(is_drawn, iterations=1)[:, 2:].mean(0)
    assert np.abs(mean_after_one - mean).max() > 10 * np.sqrt(variances.max() / ROWS)


def test_hidden_values_are_never_read_and_rows_have_their_own_noise():
    x = filled_in(True, rows=6, hidden=np.nan)
    np.testing.assert_array_equal(x, filled_in(True, rows=6))
    np.testing.assert_allclose(filled_in(True, rows=3), x[:3], rtol=1e-4)
    assert len(np.unique(x[:, 2])) == 6


slow = lambda *names: [pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.slow
@pytest.mark.parametrize(
    'name',
    ['autoencoder']
    + slow('diffusion', 'cvae', 'hierarchical_vae', 'ladder_vae', 'vae', 'vae_gan', 'vq_vae'),
)
def test_every_family_keeps_known_values_and_never_reads_hidden_ones(tmp_path, name):
    run = assembled(tmp_path, name)
    batch, keys = first_batch(run, 6), jax.random.PRNGKey(1)
    weights = jax.jit(run.family.init)(jax.random.PRNGKey(0), first_batch(run, 96))
    x, known = batch['x'], jnp.zeros(batch['x'].shape, bool).at[:, :3].set(True)
    fill = jax.jit(run.family.ability(Inpaint).fill)

    def filled(rows, inputs, known=known):
        part = {key: array[rows] for key, array in {**batch, 'known': known}.items()}
        rng = rng_for(keys, jnp.arange(6)[rows], 6)
        return np.asarray(fill(weights, {**part, 'x': inputs[rows]}, rng))

    whole = slice(None)
    completed = filled(whole, x)
    assert completed.shape == x.shape and np.all(np.isfinite(completed))
    np.testing.assert_array_equal(completed[:, :3], x[:, :3])
    np.testing.assert_array_equal(filled(whole, jnp.where(known, x, jnp.nan)), completed)
    np.testing.assert_array_equal(filled(whole, x, jnp.float32(known)), completed)
    np.testing.assert_allclose(filled(slice(2, 4), x), completed[2:4], rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize('name', slow('diffusion', 'vae'))
def test_inpainting_does_not_depend_on_the_devices(tmp_path, name):
    """Nor on the batch size: 17 rows make three batches of 8 or two of 10."""
    run = assembled(tmp_path, name, 'moons,debug')
    host = jax.tree.map(np.asarray, restore.initial_state(run))
    x = np.asarray(run.data.splits['test']['x'][:17], np.float32)
    inputs = {'x': x, 'known': np.broadcast_to([True, False], x.shape)}
    data = run.data._replace(preprocess=lambda inputs, keys: inputs)
    completions = []
    for devices, batch_size in ((jax.devices()[:8], 8), (jax.devices()[:1], 10)):
        apply = over_examples(run.family.ability(Inpaint).fill, data, batch_size, devices)
        state = device_lib.place(host, devices)
        completions.append(apply(state, jax.random.PRNGKey(3), inputs, 17))
    np.testing.assert_allclose(*completions, rtol=1e-3, atol=1e-3)
    assert len(np.unique(completions[0][:, 1])) == 17
