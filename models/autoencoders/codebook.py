"""A codebook updated by moving averages of the vectors assigned to each code.

van den Oord et al. (2017), Neural Discrete Representation Learning, appendix A.1. The codebook is
not a parameter: no gradient updates it. Batch statistics are gathered over devices, so that every
device holds the same codebook.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from atelier.core.randomness import Rng, identity

SMOOTHING = 1e-5  # Laplace smoothing: added to every count (vectors per batch), so that none is 0

Vectors = Float[Array, 'batch *positions dim']
Codes = Int[Array, 'batch *positions']


class Codebook(NamedTuple):
    """The code vectors, and the two moving averages whose quotient they are.

    embedding: [codes, dim], e in the paper.
    counts: [codes], N: the average number of vectors per batch assigned to each code.
    sums: [codes, dim], m: the sum of the vectors of a batch assigned to each code, averaged over
      batches.
    """

    embedding: Float[Array, 'codes dim']
    counts: Float[Array, 'codes']
    sums: Float[Array, 'codes dim']


def from_vectors(key, vectors: Vectors, num_codes: int) -> Codebook:
    """Initializes the codes with random vectors of the first batch.

    Draws without replacement if there are enough vectors. The averages start as if all codes had
    been used evenly.
    """
    rows = vectors.reshape(-1, vectors.shape[-1])
    chosen = jax.random.choice(key, len(rows), (num_codes,), replace=len(rows) < num_codes)
    counts = jnp.full((num_codes,), len(rows) / num_codes, jnp.float32)
    return _codebook_of(counts, counts[:, None] * rows[chosen])


def nearest(vectors: Vectors, embedding: Float[Array, 'codes dim']) -> Codes:
    """The index of the code nearest to each vector (equation 1); ties go to the first.

    Compares ||e||^2 - 2 v e, the squared distance without ||v||^2, by one matrix product in full
    float32. The fast matrix product of a GPU is accurate to three digits only, so that a code might
    not be nearest to itself.

    Raises:
      ValueError: vectors and codes have different dimensions.
    """
    if vectors.shape[-1] != embedding.shape[-1]:
        raise ValueError(f'vectors of shape {vectors.shape}, codes of shape {embedding.shape}')
    rows = vectors.reshape(-1, vectors.shape[-1])
    product = jnp.matmul(rows, embedding.T, precision='highest')
    distances = jnp.sum(jnp.square(embedding), -1)[None] - 2 * product
    return jnp.argmin(distances, axis=-1).astype(jnp.int32).reshape(vectors.shape[:-1])


def count(codes: Codes, num_codes: int, gather=identity) -> Float[Array, 'codes']:
    """The number of occurrences of each code in the global batch."""
    local = jnp.sum(_one_hot(codes, num_codes), 0)
    return jnp.sum(gather(local[None]), 0)


def log_shares(codebook: Codebook) -> Float[Array, 'codes']:
    """log of each code's fraction of the running counts, in nats; finite for unused codes too."""
    smoothed = codebook.counts + SMOOTHING
    return jnp.log(smoothed) - jnp.log(jnp.sum(smoothed))


def updated(
    codebook: Codebook, vectors: Vectors, codes: Codes, rng: Rng, decay, restart_below
) -> Codebook:
    """Returns the codebook updated with a batch of vectors and their nearest codes.

        N <- decay N + (1 - decay) n,  m <- decay m + (1 - decay) sum of the n vectors,  e = m / N

    (equations 6 to 8), with N smoothed in the quotient. If all codes were used evenly, each would
    have the count (vectors of the batch) / codes. Every code whose count is below `restart_below`
    times this even count then restarts at a random vector of the batch, with the even count
    (Dhariwal et al. 2020, Jukebox, section 3.1). Without restarts, a code far from all encoder
    outputs would never move again. `restart_below` = 0 disables restarts.
    """
    vectors = jax.lax.stop_gradient(vectors)
    num_codes, dim = codebook.embedding.shape
    one_hot, rows = _one_hot(codes, num_codes), vectors.reshape(-1, dim)
    sums = jnp.matmul(one_hot.T, rows, precision='highest')
    sums = jnp.sum(rng.gather(sums[None]), 0)
    mix = lambda old, new: decay * old + (1 - decay) * new
    counts = mix(codebook.counts, count(codes, num_codes, rng.gather))
    sums = mix(codebook.sums, sums)

    all_vectors = rng.gather(vectors).reshape(-1, dim)
    even_count = len(all_vectors) / num_codes
    chosen = all_vectors[jax.random.randint(rng.shared_key, (num_codes,), 0, len(all_vectors))]
    is_dead = counts < restart_below * even_count
    counts = jnp.where(is_dead, even_count, counts)
    return _codebook_of(counts, jnp.where(is_dead[:, None], even_count * chosen, sums))


def _codebook_of(counts: Float[Array, 'codes'], sums: Float[Array, 'codes dim']) -> Codebook:
    """Returns the codebook of these averages; its code vectors are the sums divided by smoothed
    counts, which have the same total as `counts`.
    """
    total = jnp.sum(counts)
    smoothed = (counts + SMOOTHING) * (total / (total + len(counts) * SMOOTHING))
    return Codebook(sums / smoothed[:, None], counts, sums)


def _one_hot(codes: Codes, num_codes: int) -> Float[Array, 'vectors codes']:
    return jax.nn.one_hot(codes.reshape(-1), num_codes, dtype=jnp.float32)
