"""What a vector-quantised autoencoder descends, and how evenly it uses its codebook.

Per example, as in `losses.elbo`: nothing is reduced over the batch and nothing is broadcast. Arrays
whose shapes do not fit raise ValueError.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Vectors = Float[Array, 'batch *positions dim']

_TINY = 1e-30  # of a share: its logarithm has a gradient, and times itself it is 0


def straight_through(encoded: Vectors, quantized: Vectors) -> Vectors:
    """`quantized` to the last bit, whose gradient goes to `encoded` as it is.

        sg(quantized) + (encoded - sg(encoded)),  sg: a constant for the derivatives

    Bengio et al. (2013), Estimating or Propagating Gradients Through Stochastic Neurons; here as in
    van den Oord et al. (2017), Neural Discrete Representation Learning, section 3.2. `quantized`
    gets no gradient.

    Raises:
        ValueError: if the shapes differ or have fewer than two axes.
    """
    _require_vectors(encoded, quantized)
    constant = jax.lax.stop_gradient
    return constant(quantized) + (encoded - constant(encoded))


def commitment(encoded: Vectors, quantized: Vectors) -> Float[Array, 'batch']:
    """How far encoder outputs are from their codes: squared distances, in the mean over positions.

        1/N sum_n ||encoded_n - sg(quantized_n)||^2

    van den Oord et al. (2017), equation 3, third term, averaged over the N latents as section 3.2
    says. `quantized` gets no gradient: codes move by moving averages.

    Raises:
        ValueError: if the shapes differ or have fewer than two axes.
    """
    _require_vectors(encoded, quantized)
    error = jnp.sum(jnp.square(encoded - jax.lax.stop_gradient(quantized)), axis=-1)
    num_positions = math.prod(error.shape[1:])
    return jnp.sum(error.reshape(error.shape[0], num_positions), axis=1) / num_positions


def perplexity(counts: Float[Array, 'batch codes']) -> Float[Array, 'batch']:
    """exp of the entropy of each row's shares: the number of codes, were all used evenly.

        exp(-sum_k p_k log p_k),  p_k = counts_k / sum_j counts_j

    1 where one code has all, or nothing was counted; the number of codes where all have as much.

    Raises:
        ValueError: if the shape is not (batch, codes).
    """
    if counts.ndim != 2:
        raise ValueError(f'counts has shape {counts.shape}, but needs 2 axes.')
    total = jnp.sum(counts, axis=1, keepdims=True)
    shares = counts / jnp.where(total > 0, total, 1.0)
    return jnp.exp(-jnp.sum(shares * jnp.log(jnp.maximum(shares, _TINY)), axis=1))


def _require_vectors(encoded: Array, quantized: Array) -> None:
    """Raises ValueError unless both are vectors of examples, in one shape."""
    if encoded.ndim < 2:
        raise ValueError(f'encoded has shape {encoded.shape}, but needs a batch axis and vectors.')
    if quantized.shape != encoded.shape:
        raise ValueError(
            f'quantized has shape {quantized.shape}, but encoded has shape {encoded.shape}: '
            'nothing is broadcast.'
        )
