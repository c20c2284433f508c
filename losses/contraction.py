"""The squared Frobenius norm of an encoder's Jacobian: the penalty of contractive autoencoders.

Rifai et al. (2011), Contractive Auto-Encoders: Explicit Invariance During Feature Extraction,
equation 1. Functions return a value per example. `encoder` takes a batch, and has to process each
example independently.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Events = Float[Array, 'batch *event']
Encoder = Callable[[Events], Float[Array, 'batch latent']]


def jacobian_squared_norm(encoder: Encoder, x: Events) -> Float[Array, 'batch']:
    """||dh/dx||_F^2 = sum_ij (dh_i / dx_j)^2 of each example, h = encoder(x).

    Computes one Jacobian row per code dimension, all at once, which takes `latent` times the memory
    and the compute of one gradient.

    Raises:
        ValueError: if the encoder does not return (batch, latent).

    Example:
        >>> encoder = lambda x: 2 * x  # J = 2 I
        >>> print(jacobian_squared_norm(encoder, jnp.ones((1, 2))))
        [8.]
    """
    codes, pull_back = _codes(encoder, x)
    rows = jnp.eye(codes.shape[1], dtype=codes.dtype)[:, None, :]
    units = jnp.broadcast_to(rows, (codes.shape[1], *codes.shape))
    return jnp.sum(_squared_norms(pull_back, units), axis=0)


def jacobian_squared_norm_estimate(
    encoder: Encoder, x: Events, probes: Float[Array, 'probes batch latent']
) -> Float[Array, 'batch']:
    """The mean of ||u^T dh/dx||^2 over the probes u, an unbiased estimate of ||dh/dx||_F^2.

    E[u^T J J^T u] = tr(J J^T) for any u of mean zero and covariance I: Hutchinson (1989), A
    Stochastic Estimator of the Trace of the Influence Matrix. Rademacher probes (+1 or -1) have the
    smallest variance, 2 sum_{i != k} (J J^T)_ik^2 each. Probes lie in code space, which has fewer
    dimensions than x. Probes in the space of x would use J^T J. It has the same nonzero eigenvalues
    and thus the same squared norm, but usually more of it off the diagonal.

    Raises:
        ValueError: if the encoder does not return (batch, latent), the probes do not have the shape
            (probes, batch, latent), or there are no probes.

    Example:
        >>> encoder, probes = lambda x: 2 * x, jnp.asarray([[[1.0, -1.0]]])  # J J^T = 4 I
        >>> print(jacobian_squared_norm_estimate(encoder, jnp.ones((1, 2)), probes))
        [8.]
    """
    codes, pull_back = _codes(encoder, x)
    if probes.shape[1:] != codes.shape or not len(probes):
        raise ValueError(
            f'probes have shape {probes.shape} and codes {codes.shape}: give probes of shape '
            '(probes, batch, latent), at least one.'
        )
    return jnp.mean(_squared_norms(pull_back, probes), axis=0)


def _codes(encoder: Encoder, x: Events):
    """Returns (h, pull_back), where pull_back maps covectors of h to covectors of x."""
    codes, pull_back = jax.vjp(encoder, x)
    if codes.ndim != 2 or codes.shape[:1] != x.shape[:1]:
        raise ValueError(
            f'the encoder returned shape {codes.shape} for x of shape {x.shape}: it has to return '
            '(batch, latent).'
        )
    return codes, pull_back


def _squared_norms(pull_back, covectors: Float[Array, 'n batch latent']) -> Float[Array, 'n batch']:
    """||u^T dh/dx||^2 for each covector u and each example."""
    (slopes,) = jax.vmap(pull_back)(covectors)
    return jnp.sum(jnp.square(slopes), axis=tuple(range(2, slopes.ndim)))
