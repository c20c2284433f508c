"""Drawing a symbol from logits: tempered, of the k likeliest, of the nucleus.

Pure functions of logits [..., symbols]; what they leave out is -inf, so that softmax of the result
is the distribution that is drawn from.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from atelier.errors import UserError, at_least
from models.shared.observations import Observation

Logits = Float[Array, '*batch symbols']


class Draws(NamedTuple):
    """How symbols are drawn: in this order.

    temperature: 1: as the model says; 0: the likeliest symbol.
    top_k: of so many symbols alone; 0: of all.
    top_p: of the nucleus of this probability alone; 1: of all.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0


def tempered(logits: Logits, temperature: float) -> Logits:
    """p^(1 / temperature), normalised by whoever takes the softmax; of 0 the likeliest alone."""
    if temperature == 0:
        best = jnp.argmax(logits, -1, keepdims=True)
        return jnp.where(jnp.arange(logits.shape[-1]) == best, 0.0, -jnp.inf)
    return logits / temperature


def of_top_k(logits: Logits, k: int) -> Logits:
    """The k likeliest symbols, the first ones of those that are equally likely; 0: all."""
    if not 0 < k < logits.shape[-1]:
        return logits
    return jnp.where(_rank(logits) < k, logits, -jnp.inf)


def of_nucleus(logits: Logits, p: float) -> Logits:
    """The fewest symbols that together have probability p or more: Holtzman et al. (2020), eq. 2.

    The likeliest is always among them; of p = 1 all are.
    """
    if p >= 1:
        return logits
    falling = -jnp.sort(-jax.nn.softmax(logits))
    likelier = jnp.cumsum(falling, -1) - falling  # the probability of all that are likelier
    count = jnp.maximum(jnp.sum(likelier < p, -1, keepdims=True), 1)
    return jnp.where(_rank(logits) < count, logits, -jnp.inf)


def _rank(logits: Logits) -> Array:
    """0 for the likeliest symbol, 1 for the next, ..."""
    return jnp.argsort(jnp.argsort(-logits, -1), -1)


def chosen(logits: Logits, draws: Draws) -> Logits:
    """The logits of what is drawn."""
    logits = of_top_k(tempered(logits, draws.temperature), draws.top_k)
    return of_nucleus(logits, draws.top_p)


def drawn_as(observation: Observation, draws: Draws) -> Observation:
    """A categorical observation whose samples, and nothing else, follow `draws`.

    Raises:
      UserError: draws that cannot be.
    """
    for name, value in draws._asdict().items():
        at_least(0, f'eval.sampler.{name}', value)
    if not 0 < draws.top_p <= 1:
        raise UserError(f'config.eval.sampler.top_p={draws.top_p}: it is above 0, and at most 1')

    def sample(keys, logits, place=None):
        return observation.sample(keys, chosen(logits, draws), place)

    return observation._replace(sample=sample)
