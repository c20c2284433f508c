"""Components of mixtures: the interface of K distributions of one kind, and categorical components.

x is [batch, dims] throughout: float32 levels, or real numbers as scaled by the caller.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt32

from atelier.errors import at_least
from models.classical.estimator import Statistics, summed

TINY = 1e-30  # lower bound of counts and probabilities, with a finite logarithm
MAX_ONE_HOT = 2**26  # values of one-hot levels in memory at once; more are computed block by block
Rows = Float[Array, 'batch dims']
Weights = Float[Array, 'batch components']


class Components(NamedTuple):
    """K distributions of one kind, with their parameters in one pytree.

    statistics: (x, weights [batch, K]) -> Statistics; its entry 'count' [K] sums the weights.
    pooled, maximize: as in `models.classical.estimator.Estimator`, but `maximize` returns only
      params.
    log_prob: (params, x, known=None) -> log p(x | k) [batch, K] in nats; with `known` [batch,
      dims], that of the known part only.
    sample: (keys, params, component [batch]) -> x.
    fill: (keys, params, component, x, known) -> x with the unknown part drawn given the known one.
    mean: (params, component [batch]) -> E[x | component], [batch, dims].
    levels_of: (params, i) -> log p(x_i = level | k), [K, levels]; None for real numbers.
    """

    statistics: Callable
    pooled: Callable
    maximize: Callable
    log_prob: Callable
    sample: Callable
    fill: Callable
    mean: Callable
    levels_of: Callable | None = None


def categorical(levels: int, pseudo_count: float) -> Components:
    """Independent categorical dimensions over 0..levels - 1; with two levels they are Bernoulli.

    Args:
      levels: number of levels, at least 2.
      pseudo_count: examples of each level added to the observed ones, so that no level is
        impossible. This gives the posterior mode under a Dirichlet prior with parameters 1 +
        pseudo_count. A pseudo_count of 1 is Laplace's rule.
    """
    at_least(0, 'model.pseudo_count', pseudo_count)

    @jax.custom_jvp
    def higher(x: Rows) -> Float[Array, 'batch dims above']:
        """One-hot levels without level 0, which the others imply; halves the work for 2 levels."""
        return (x[..., None] == jnp.arange(1, levels)).astype(x.dtype)

    @higher.defjvp
    def slope(primals, tangents):
        """Uses the difference quotient over x's neighbours, because levels have no derivative."""
        (x,), (tangent,) = primals, tangents
        below, above = jnp.maximum(x - 1, 0), jnp.minimum(x + 1, levels - 1)
        rise = (higher(above) - higher(below)) / (above - below)[..., None]
        return higher(x), tangent[..., None] * rise

    def statistics(x: Rows, weights: Weights) -> Statistics:
        size = block_size(x, levels)
        of_block = lambda x: jnp.einsum('bk,bdl->kdl', weights, higher(x))
        if size >= x.shape[1]:
            return {'count': weights.sum(0), 'higher': of_block(x)}
        sums = jax.lax.map(of_block, in_blocks(x, size))
        joined = jnp.moveaxis(sums, 0, 1).reshape(weights.shape[1], -1, levels - 1)
        return {'count': weights.sum(0), 'higher': joined[:, : x.shape[1]]}

    def maximize(stats: Statistics):
        above, count = stats['higher'], stats['count'][:, None]
        counts = jnp.concatenate([(count - above.sum(-1))[..., None], above], -1)
        total = jnp.maximum(count + levels * pseudo_count, TINY)[..., None]
        return {'log_probs': jnp.log(jnp.maximum((counts + pseudo_count) / total, TINY))}

    def log_prob(params, x: Rows, known: Bool[Array, 'batch dims'] | None = None) -> Weights:
        lowest, above = params['log_probs'][..., 0], params['log_probs'][..., 1:]
        mask = jnp.ones_like(x) if known is None else known.astype(x.dtype)
        differences, size = above - lowest[..., None], block_size(x, levels)

        def of_block(x, mask, differences):
            return jnp.einsum('bdl,kdl->bk', higher(x) * mask[..., None], differences)

        if size >= x.shape[1]:
            return mask @ lowest.T + of_block(x, mask, differences)
        blocks = tuple(in_blocks(each, size) for each in (x, mask, differences))
        add = lambda total, block: (total + of_block(*block), None)
        return jax.lax.scan(add, mask @ lowest.T, blocks)[0]

    def sample(keys: UInt32[Array, 'batch 2'], params, component: Int[Array, 'batch']) -> Rows:
        draw_level = lambda key, k: jax.random.categorical(key, params['log_probs'][k])
        return jax.vmap(draw_level)(keys, component).astype(jnp.float32)

    def fill(keys, params, component, x: Rows, known: Bool[Array, 'batch dims']) -> Rows:
        return jnp.where(known, x, sample(keys, params, component))

    def mean(params, component: Int[Array, 'batch']) -> Rows:
        means = jnp.exp(params['log_probs']) @ jnp.arange(levels, dtype=params['log_probs'].dtype)
        return means[component]

    levels_of = lambda params, i: params['log_probs'][:, i]
    return Components(statistics, summed, maximize, log_prob, sample, fill, mean, levels_of)


def block_size(x: Rows, levels: int) -> int:
    """Returns how many dimensions' one-hot levels, without level 0, are `MAX_ONE_HOT` at most."""
    return max(1, MAX_ONE_HOT // (len(x) * (levels - 1)))


def in_blocks(
    array: Float[Array, 'rows dims *more'], size: int
) -> Float[Array, 'blocks rows size *more']:
    """Divides the dimensions into blocks of `size`; zeros fill the last one."""
    rows, dims, *more = array.shape
    count = -(-dims // size)
    filled = jnp.pad(array, [(0, 0), (0, count * size - dims), *[(0, 0)] * len(more)])
    return jnp.moveaxis(filled.reshape(rows, count, size, *more), 1, 0)
