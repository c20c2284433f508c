"""Losses of a vector-quantised autoencoder, and the perplexity of its codebook.

All results are per example, as in `losses.elbo`. Nothing is reduced over the batch and nothing is
broadcast: mismatched shapes raise ValueError.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Vectors = Float[Array, 'batch *positions dim']

_TINY = 1e-30  # smallest frequency inside the log: gradients are finite, and 0 * log(_TINY) is 0


def straight_through(encoded: Vectors, quantized: Vectors) -> Vectors:
    """Returns exactly `quantized`, but passes gradients unchanged to `encoded`.

        sg(quantized) + (encoded - sg(encoded)),  sg: stop_gradient

    Bengio et al. (2013), Estimating or Propagating Gradients Through Stochastic Neurons; used as in
    van den Oord et al. (2017), Neural Discrete Representation Learning, section 3.2. `quantized`
    gets no gradient.

    Raises:
        ValueError: if the shapes differ or have fewer than two axes.

    Example:
        >>> encoded, quantized = jnp.asarray([[0.8, 0.1]]), jnp.asarray([[1.0, 0.0]])
        >>> print(straight_through(encoded, quantized))
        [[1. 0.]]
        >>> loss = lambda *vectors: 3 * jnp.sum(straight_through(*vectors))
        >>> print(*jax.grad(loss, (0, 1))(encoded, quantized))
        [[3. 3.]] [[0. 0.]]
    """
    _require_vectors(encoded, quantized)
    constant = jax.lax.stop_gradient
    return constant(quantized) + (encoded - constant(encoded))


def commitment(encoded: Vectors, quantized: Vectors) -> Float[Array, 'batch']:
    """Squared distance of encoder outputs from their codes, averaged over positions.

        1/N sum_n ||encoded_n - sg(quantized_n)||^2

    van den Oord et al. (2017), equation 3, third term, averaged over the N latents as section 3.2
    says. `quantized` gets no gradient, because moving averages update the codes.

    Raises:
        ValueError: if the shapes differ or have fewer than two axes.

    Example:
        >>> encoded, quantized = jnp.asarray([[[3.0, 4.0], [0.0, 1.0]]]), jnp.zeros((1, 2, 2))
        >>> print(commitment(encoded, quantized))  # (25 + 1) / 2 positions
        [13.]
    """
    _require_vectors(encoded, quantized)
    error = jnp.sum(jnp.square(encoded - jax.lax.stop_gradient(quantized)), axis=-1)
    num_positions = math.prod(error.shape[1:])
    return jnp.sum(error.reshape(error.shape[0], num_positions), axis=1) / num_positions


def perplexity(counts: Float[Array, 'batch codes']) -> Float[Array, 'batch']:
    """exp of the entropy of each row's code frequencies: the effective number of codes.

        exp(-sum_k p_k log p_k),  p_k = counts_k / sum_j counts_j

    It is 1 if one code has all counts or if all counts are 0. It is the number of codes if all
    counts are equal and positive.

    Raises:
        ValueError: if the shape is not (batch, codes).

    Example:
        >>> round(perplexity(jnp.asarray([[5.0, 5.0, 0.0, 0.0]])).item(), 3)  # two codes in use
        2.0
    """
    if counts.ndim != 2:
        raise ValueError(f'counts has shape {counts.shape}, but needs 2 axes.')
    total = jnp.sum(counts, axis=1, keepdims=True)
    shares = counts / jnp.where(total > 0, total, 1.0)
    return jnp.exp(-jnp.sum(shares * jnp.log(jnp.maximum(shares, _TINY)), axis=1))


def _require_vectors(encoded: Array, quantized: Array) -> None:
    """Raises ValueError unless both have the same shape [batch, ..., dim]."""
    if encoded.ndim < 2:
        raise ValueError(f'encoded has shape {encoded.shape}, but needs a batch axis and vectors.')
    if quantized.shape != encoded.shape:
        raise ValueError(
            f'quantized has shape {quantized.shape}, but encoded has shape {encoded.shape}: '
            'nothing is broadcast.'
        )
