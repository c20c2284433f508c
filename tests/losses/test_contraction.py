"""losses/contraction.py against `jax.jacfwd`, closed forms and enumeration of all probes."""

import itertools

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from losses.contraction import jacobian_squared_norm, jacobian_squared_norm_estimate

pytestmark = pytest.mark.usefixtures('strict_promotion')

LATENT = 3
MATRIX = np.random.default_rng(0).normal(size=(4, LATENT)).astype(np.float32)
SIGNS = np.float32(list(itertools.product((-1, 1), repeat=LATENT)))  # all probes of +1 and -1


def events(n=5):
    return jax.random.normal(jax.random.PRNGKey(1), (n, 2, 2))


def affine(x, matrix=MATRIX):
    return x.reshape(len(x), -1) @ jnp.asarray(matrix) + 1


def curved(x):
    return jnp.tanh(affine(x)) * jnp.sum(x, (1, 2))[:, None]


def by_jacfwd(encoder, x):
    jacobians = jax.vmap(jax.jacfwd(lambda one: encoder(one[None])[0]))(x)
    return np.sum(np.square(jacobians), (1, 2, 3))


def every_sign(n):
    """All sign vectors for each of n examples: [2^latent, n, latent]."""
    return jnp.broadcast_to(jnp.asarray(SIGNS)[:, None], (len(SIGNS), n, LATENT))


@pytest.mark.parametrize('encoder', [affine, curved])
def test_the_exact_norm_is_that_of_jacfwd(encoder):
    actual = jax.jit(jacobian_squared_norm, static_argnums=0)(encoder, events())
    np.testing.assert_allclose(actual, by_jacfwd(encoder, events()), rtol=1e-5)


def test_of_an_affine_encoder_it_is_the_norm_of_its_matrix():
    actual = jacobian_squared_norm(affine, events())
    np.testing.assert_allclose(actual, np.full(5, np.sum(MATRIX**2)), rtol=1e-6)


@pytest.mark.parametrize('encoder', [affine, curved])
def test_the_mean_over_all_probes_is_exact(encoder):
    """The mean over the 2^latent equally likely sign vectors is the exact squared norm."""
    estimate = jax.jit(jacobian_squared_norm_estimate, static_argnums=0)
    actual = estimate(encoder, events(), every_sign(5))
    np.testing.assert_allclose(actual, by_jacfwd(encoder, events()), rtol=1e-5)


def test_single_probes_have_the_variance_of_hutchinson():
    """The variance over all sign vectors is 2 sum_{i != k} (J J^T)_ik^2."""
    gram = MATRIX.T @ MATRIX
    expected = 2 * (np.sum(gram**2) - np.sum(np.diag(gram) ** 2))
    x = jnp.zeros((1, 2, 2))
    each = [jacobian_squared_norm_estimate(affine, x, probe[None]) for probe in every_sign(1)]
    np.testing.assert_allclose(np.var(each), expected, rtol=1e-4)
    assert expected > 1


def test_one_probe_is_exact_for_one_latent_dimension():
    encoder = lambda x: affine(x)[:, :1]
    actual = jacobian_squared_norm_estimate(encoder, events(), jnp.ones((1, 5, 1)))
    np.testing.assert_allclose(actual, np.full(5, np.sum(MATRIX[:, 0] ** 2)), rtol=1e-6)


@pytest.mark.parametrize('is_exact', [True, False])
def test_the_gradient_of_the_penalty_of_an_affine_encoder(is_exact):
    """The second-order gradient d/dW ||W||_F^2 = 2 W."""

    def penalty(matrix):
        encoder = lambda x: affine(x, matrix)
        if is_exact:
            return jacobian_squared_norm(encoder, events()).mean()
        return jacobian_squared_norm_estimate(encoder, events(), every_sign(5)).mean()

    slope = jax.jit(jax.grad(penalty))(jnp.asarray(MATRIX))
    np.testing.assert_allclose(slope, 2 * MATRIX, rtol=1e-4, atol=1e-5)


def test_unfit_shapes_are_refused():
    with pytest.raises((ValueError, jaxtyping.TypeCheckError)):
        jacobian_squared_norm(lambda x: x, events())
    with pytest.raises((ValueError, jaxtyping.TypeCheckError)):
        jacobian_squared_norm_estimate(affine, events(), jnp.ones((2, 1, LATENT)))
    with pytest.raises((ValueError, jaxtyping.TypeCheckError)):
        jacobian_squared_norm_estimate(affine, events(), jnp.ones((0, 5, LATENT)))
