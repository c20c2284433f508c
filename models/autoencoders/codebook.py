"""A codebook that follows the vectors it stands for by moving averages.

van den Oord et al. (2017), Neural Discrete Representation Learning, appendix A.1. It is no
parameter: nothing descends a loss in it. What a batch says of it is brought together over devices,
so that it is the same on each.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from atelier.core.randomness import Rng, identity

SMOOTHING = 1e-5  # added to every count, in vectors a batch: Laplace's, so that none is 0

Vectors = Float[Array, 'batch *positions dim']
Codes = Int[Array, 'batch *positions']


class Codebook(NamedTuple):
    """The codes, and the moving averages that they are quotients of.

    embedding: [codes, dim], e in the paper.
    counts: [codes], N: how many vectors of a batch are nearest to each.
    sums: [codes, dim], m: the sum of those.
    """

    embedding: Float[Array, 'codes dim']
    counts: Float[Array, 'codes']
    sums: Float[Array, 'codes dim']


def from_vectors(key, vectors: Vectors, num_codes: int) -> Codebook:
    """Codes that are vectors of the first batch, drawn without replacement where there are enough.

    They begin as if all had been used evenly.
    """
    rows = vectors.reshape(-1, vectors.shape[-1])
    chosen = jax.random.choice(key, len(rows), (num_codes,), replace=len(rows) < num_codes)
    counts = jnp.full((num_codes,), len(rows) / num_codes, jnp.float32)
    return _averaged(counts, counts[:, None] * rows[chosen])


def nearest(vectors: Vectors, embedding: Float[Array, 'codes dim']) -> Codes:
    """The number of the code nearest to each vector (equation 1); of equal ones the first.

    By ||e||^2 - 2 v e, which is the squared distance but for ||v||^2: one matrix product, in full
    float32. The fast product of a GPU has three digits, by which a code may not be nearest to
    itself.

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
    """How often each code occurs in the batch of all devices."""
    here = jnp.sum(_one_hot(codes, num_codes), 0)
    return jnp.sum(gather(here[None]), 0)


def log_shares(codebook: Codebook) -> Float[Array, 'codes']:
    """log of each code's share of the running counts, in nats; finite also of an unused one."""
    smoothed = codebook.counts + SMOOTHING
    return jnp.log(smoothed) - jnp.log(jnp.sum(smoothed))


def updated(
    codebook: Codebook, vectors: Vectors, codes: Codes, rng: Rng, decay, restart_below
) -> Codebook:
    """The codebook after a batch of vectors and their nearest codes.

        N <- decay N + (1 - decay) n,  m <- decay m + (1 - decay) sum of the n vectors,  e = m / N

    (equations 6 to 8), N smoothed in the quotient. Then every code whose count has fallen below
    `restart_below` times that of even use begins anew at a vector of the batch, as if it had been
    used evenly (Dhariwal et al. 2020, Jukebox, section 3.1): no vector comes near a code that the
    encoder has left behind, and it would never move again. 0: none does.
    """
    vectors = jax.lax.stop_gradient(vectors)
    num_codes, dim = codebook.embedding.shape
    one_hot, rows = _one_hot(codes, num_codes), vectors.reshape(-1, dim)
    sums = jnp.matmul(one_hot.T, rows, precision='highest')
    sums = jnp.sum(rng.gather(sums[None]), 0)
    mix = lambda old, new: decay * old + (1 - decay) * new
    counts = mix(codebook.counts, count(codes, num_codes, rng.gather))
    sums = mix(codebook.sums, sums)

    everyone = rng.gather(vectors).reshape(-1, dim)
    even = len(everyone) / num_codes
    chosen = everyone[jax.random.randint(rng.shared_key, (num_codes,), 0, len(everyone))]
    is_dead = counts < restart_below * even
    counts = jnp.where(is_dead, even, counts)
    return _averaged(counts, jnp.where(is_dead[:, None], even * chosen, sums))


def _averaged(counts: Float[Array, 'codes'], sums: Float[Array, 'codes dim']) -> Codebook:
    """The codebook of these averages, its counts smoothed so that they keep their sum."""
    total = jnp.sum(counts)
    smoothed = (counts + SMOOTHING) * (total / (total + len(counts) * SMOOTHING))
    return Codebook(sums / smoothed[:, None], counts, sums)


def _one_hot(codes: Codes, num_codes: int) -> Float[Array, 'vectors codes']:
    return jax.nn.one_hot(codes.reshape(-1), num_codes, dtype=jnp.float32)
