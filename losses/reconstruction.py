"""Reconstruction losses: squared error and cross-entropy.

Each function returns a value per example, summed over the axes of an event; the caller takes the
batch mean. Nothing is broadcast: mismatched shapes raise ValueError.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from losses import elbo


def half_squared_error(
    x: Float[Array, 'batch *event'], mean: Float[Array, 'batch *event']
) -> Float[Array, 'batch']:
    """1/2 ||x - mean||^2, in the squared units of x.

    It equals -log N(x; mean, I) up to a constant. Minimised over affine encoders and decoders, its
    mean over a data set is half the variance that PCA leaves unexplained: Baldi and Hornik (1989),
    Neural Networks and Principal Component Analysis, fact 4.

    Raises:
        ValueError: if the shapes differ or there is no batch axis.

    Example:
        >>> print(half_squared_error(jnp.asarray([[3.0, 4.0]]), jnp.zeros((1, 2))))
        [12.5]
    """
    if x.ndim == 0 or x.shape != mean.shape:
        raise ValueError(f'x has shape {x.shape} and mean {mean.shape}: nothing is broadcast.')
    return 0.5 * jnp.sum(jnp.square(x - mean), axis=tuple(range(1, x.ndim)))


def cross_entropy(
    x: Float[Array, 'batch *event'], logits: Float[Array, 'batch *event']
) -> Float[Array, 'batch']:
    """-sum_j [x_j log m_j + (1 - x_j) log (1 - m_j)], m = sigmoid(logits), for x in [0, 1].

    It is smallest at m = x, where it is not zero for grey x. A Bernoulli cannot generate grey x, so
    for grey x the cross-entropy is a loss but not a likelihood: do not report it in nats. Vincent
    et al. (2008), Extracting and Composing Robust Features with Denoising Autoencoders, equation 2.

    Raises:
        ValueError: if the shapes differ or there is no batch axis.

    Example:
        >>> round(cross_entropy(jnp.full((1, 2), 0.5), jnp.zeros((1, 2))).item(), 3)  # 2 log 2
        1.386
    """
    return -elbo.bernoulli_log_prob(x, logits)
