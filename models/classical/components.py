"""Components of mixtures: what K distributions of one kind have in common.

x is [batch, dims] throughout: float32 levels, or real numbers as the caller scales them.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt32

from atelier.errors import at_least
from models.classical.estimator import Statistics, summed

TINY = 1e-30  # of a count or a probability: its logarithm is finite
Rows = Float[Array, 'batch dims']
Weights = Float[Array, 'batch components']


class Components(NamedTuple):
    """K distributions of one kind, with their parameters in one pytree.

    statistics: (x, weights [batch, K]) -> Statistics, of which 'count' [K] sums the weights.
    pooled, maximize: as of `models.classical.estimator.Estimator`, without a structure.
    log_prob: (params, x, known=None) -> [batch, K], nats; of what is `known` [batch, dims] alone.
    sample: (keys, params, component [batch]) -> x.
    fill: (keys, params, component, x, known) -> x, what is unknown drawn given what is known.
    levels_of: (params, i) -> log p(x_i = level | k), [K, levels]; None of real numbers.
    """

    statistics: Callable
    pooled: Callable
    maximize: Callable
    log_prob: Callable
    sample: Callable
    fill: Callable
    levels_of: Callable | None = None


def categorical(levels: int, pseudo_count: float) -> Components:
    """Independent numbers, each one of 0..levels - 1; of two levels they are Bernoulli.

    Args:
      levels: at least 2.
      pseudo_count: examples of each level that are added to those seen, so that none is
        impossible: the mode under a Dirichlet prior of 1 + pseudo_count (1: Laplace's rule).
    """
    at_least(0, 'model.pseudo_count', pseudo_count)

    @jax.custom_jvp
    def higher(x: Rows) -> Float[Array, 'batch dims above']:
        """One-hot without level 0, which is what is left: half the work for two levels."""
        return (x[..., None] == jnp.arange(1, levels)).astype(x.dtype)

    @higher.defjvp
    def slope(primals, tangents):
        """Levels have no derivative: the difference between the neighbours of one stands for it."""
        (x,), (moved,) = primals, tangents
        below, above = jnp.maximum(x - 1, 0), jnp.minimum(x + 1, levels - 1)
        rise = (higher(above) - higher(below)) / (above - below)[..., None]
        return higher(x), moved[..., None] * rise

    def statistics(x: Rows, weights: Weights) -> Statistics:
        return {
            'count': weights.sum(0),
            'higher': jnp.einsum('bk,bdl->kdl', weights, higher(x)),
        }

    def maximize(found: Statistics):
        above, count = found['higher'], found['count'][:, None]
        counts = jnp.concatenate([(count - above.sum(-1))[..., None], above], -1)
        total = jnp.maximum(count + levels * pseudo_count, TINY)[..., None]
        return {'log_probs': jnp.log(jnp.maximum((counts + pseudo_count) / total, TINY))}

    def log_prob(params, x: Rows, known: Bool[Array, 'batch dims'] | None = None) -> Weights:
        lowest, above = params['log_probs'][..., 0], params['log_probs'][..., 1:]
        seen = jnp.ones_like(x) if known is None else known.astype(x.dtype)
        more = jnp.einsum('bdl,kdl->bk', higher(x) * seen[..., None], above - lowest[..., None])
        return seen @ lowest.T + more

    def sample(keys: UInt32[Array, 'batch 2'], params, component: Int[Array, 'batch']) -> Rows:
        chosen = lambda key, k: jax.random.categorical(key, params['log_probs'][k])
        return jax.vmap(chosen)(keys, component).astype(jnp.float32)

    def fill(keys, params, component, x: Rows, known: Bool[Array, 'batch dims']) -> Rows:
        return jnp.where(known, x, sample(keys, params, component))

    levels_of = lambda params, i: params['log_probs'][:, i]
    return Components(statistics, summed, maximize, log_prob, sample, fill, levels_of)
