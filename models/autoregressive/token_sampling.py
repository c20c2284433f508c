"""Token sampling from logits: temperature, top-k, and nucleus.

Pure functions of logits [..., vocab]. Excluded tokens get -inf, so that the softmax of the result
is the distribution to draw from.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from atelier.errors import UserError, at_least
from models.shared.observations import Observation

Logits = Float[Array, '*batch vocab']


class SamplingOptions(NamedTuple):
    """How tokens are drawn; the settings apply in this order.

    temperature: 1 draws from the model's distribution; 0 takes the most likely token.
    top_k: draws from the k most likely tokens; 0 draws from all.
    top_p: draws from the nucleus of this probability (`keep_nucleus`); 1 draws from all.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0


def tempered(logits: Logits, temperature: float) -> Logits:
    """Returns unnormalised logits of p^(1 / temperature); 0 keeps only the most likely token."""
    if temperature == 0:
        best = jnp.argmax(logits, -1, keepdims=True)
        return jnp.where(jnp.arange(logits.shape[-1]) == best, 0.0, -jnp.inf)
    return logits / temperature


def keep_top_k(logits: Logits, k: int) -> Logits:
    """Keeps the k most likely tokens, the first of equally likely ones; k = 0 keeps all."""
    if not 0 < k < logits.shape[-1]:
        return logits
    return jnp.where(_rank(logits) < k, logits, -jnp.inf)


def keep_nucleus(logits: Logits, p: float) -> Logits:
    """Keeps the smallest set of tokens with probability p or more: Holtzman et al. (2020), eq. 2.

    The most likely token is always kept; p = 1 keeps all.
    """
    if p >= 1:
        return logits
    descending = -jnp.sort(-jax.nn.softmax(logits))
    mass_before = jnp.cumsum(descending, -1) - descending  # total probability of likelier tokens
    count = jnp.maximum(jnp.sum(mass_before < p, -1, keepdims=True), 1)
    return jnp.where(_rank(logits) < count, logits, -jnp.inf)


def _rank(logits: Logits) -> Array:
    """Returns 0 for the most likely token, 1 for the next, ..."""
    return jnp.argsort(jnp.argsort(-logits, -1), -1)


def sampling_logits(logits: Logits, draws: SamplingOptions) -> Logits:
    """Returns the logits of the distribution to draw from."""
    logits = keep_top_k(tempered(logits, draws.temperature), draws.top_k)
    return keep_nucleus(logits, draws.top_p)


def with_sampling(observation: Observation, draws: SamplingOptions) -> Observation:
    """Returns the categorical `observation`, with sampling by `draws`; its log_prob is unchanged.

    Raises:
      UserError: a setting is out of range.
    """
    for name, value in draws._asdict().items():
        at_least(0, f'eval.sampler.{name}', value)
    if not 0 < draws.top_p <= 1:
        raise UserError(f'config.eval.sampler.top_p={draws.top_p}: must be above 0 and at most 1')

    def sample(keys, logits, dim=None):
        return observation.sample(keys, sampling_logits(logits, draws), dim)

    return observation._replace(sample=sample)
