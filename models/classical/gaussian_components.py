"""Gaussian components of mixtures with full, diagonal or tied covariances.

Moments are kept as counts, means and sums of squared deviations from these means. This loses no
digits if a mean is much larger than the standard deviation: Chan, Golub and LeVeque (1983).
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt32

from atelier.data.dataset import Spec
from atelier.errors import above_zero, at_least
from models.classical.components import TINY, Components, Rows, Weights
from models.classical.estimator import Statistics

LOG_2_PI = math.log(2 * math.pi)
Known = Bool[Array, 'batch dims']
Keys = UInt32[Array, 'batch 2']
ComponentIndex = Int[Array, 'batch']


class Prior(NamedTuple):
    """Regularizes covariances for which there are few examples, or none.

    pseudo_count: examples added to the observed ones, with `variance` around the mean on each axis.
    variance: variance of the added examples.
    variance_floor: the smallest variance along any direction.
    """

    pseudo_count: float
    variance: float
    variance_floor: float


NO_PRIOR = Prior(0.0, 1.0, 0.0)  # maximum likelihood


def prior_of(spec: Spec, pseudo_count: float, variance_floor: float) -> Prior:
    """Returns the prior for normalized x, which lies in [0, 1] or has a standard deviation of 1.

    Raises:
      UserError: a value is out of range.
    """
    at_least(0, 'model.pseudo_count', pseudo_count)
    above_zero('model.variance_floor', variance_floor)
    return Prior(pseudo_count, 1.0 if spec.interval is None else 1.0 / 12.0, variance_floor)


def diagonal_gaussian(prior: Prior) -> Components:
    """Gaussians with independent dimensions: params 'mean' and 'variance' [K, dims]."""

    def maximize(stats: Statistics):
        count = stats['count'][:, None]
        added = stats['scatter'] + prior.pseudo_count * prior.variance
        variance = added / jnp.maximum(count + prior.pseudo_count, TINY)
        floored = jnp.maximum(variance, prior.variance_floor)
        return {'mean': stats['mean'], 'variance': floored}

    def log_prob(params, x: Rows, known: Known | None = None) -> Weights:
        def of_component(parameters):
            mean, variance = parameters
            terms = jnp.square(x - mean) / variance + jnp.log(variance) + LOG_2_PI
            return -0.5 * jnp.sum(terms if known is None else jnp.where(known, terms, 0.0), -1)

        return jax.lax.map(of_component, (params['mean'], params['variance'])).T

    def sample(keys: Keys, params, component: ComponentIndex) -> Rows:
        mean, variance = params['mean'][component], params['variance'][component]
        return mean + jnp.sqrt(variance) * _normal(keys, mean.shape[1])

    def fill(keys: Keys, params, component: ComponentIndex, x: Rows, known: Known) -> Rows:
        return jnp.where(known, x, sample(keys, params, component))

    statistics = lambda x, weights: _moments(x, weights, _squares)
    pooled = lambda stats, shares: _pooled(stats, shares, jnp.square)
    return Components(statistics, pooled, maximize, log_prob, sample, fill, _mean_of)


def full_gaussian(prior: Prior, is_tied: bool = False) -> Components:
    """Gaussians with correlated dimensions: params 'mean' [K, dims] and 'covariance'.

    The covariance is [K, dims, dims], or [1, dims, dims] if `is_tied`: one for all components.
    """
    fold = (lambda scatter: scatter.sum(0, keepdims=True)) if is_tied else (lambda scatter: scatter)

    def maximize(stats: Statistics):
        count, dims = fold(stats['count'][:, None, None]), stats['mean'].shape[1]
        added = stats['scatter'] + prior.pseudo_count * prior.variance * jnp.eye(dims)
        covariance = added / jnp.maximum(count + prior.pseudo_count, TINY)
        return {'mean': stats['mean'], 'covariance': _floored(covariance, prior.variance_floor)}

    def log_prob(params, x: Rows, known: Known | None = None) -> Weights:
        if known is None:
            return jax.lax.map(lambda parameters: _log_prob(x, *parameters), _untied(params)).T

        def of_example(example):
            x, known = example
            return jax.vmap(lambda mean, cov: _known_log_prob(x, known, mean, cov))(
                *_untied(params)
            )

        return jax.lax.map(of_example, (x, known))

    def sample(keys: Keys, params, component: ComponentIndex) -> Rows:
        means, roots = params['mean'], jnp.linalg.cholesky(params['covariance'])
        noise = _normal(keys, means.shape[1])
        if is_tied:
            return means[component] + noise @ roots[0].T
        return means[component] + jnp.einsum('bde,be->bd', roots[component], noise)

    def fill(keys: Keys, params, component: ComponentIndex, x: Rows, known: Known) -> Rows:
        """Matheron's rule: an unconditional draw, shifted by its error on the known part."""
        drawn = sample(keys, params, component)

        def of_example(example):
            x, drawn, known, k = example
            covariance = _untied(params)[1][k]
            centered = jnp.where(known, x - drawn, 0.0)
            solved = jnp.linalg.solve(_restricted(covariance, known), centered)
            return jnp.where(known, x, drawn + covariance @ solved)

        return jax.lax.map(of_example, (x, drawn, known, component))

    def statistics(x: Rows, weights: Weights) -> Statistics:
        stats = _moments(x, weights, _products)
        return {**stats, 'scatter': fold(stats['scatter'])}

    outer = lambda shift: shift[..., :, None] * shift[..., None, :]
    pooled = lambda stats, shares: _pooled(stats, shares, outer, fold)
    return Components(statistics, pooled, maximize, log_prob, sample, fill, _mean_of)


def _mean_of(params, component: ComponentIndex) -> Rows:
    return params['mean'][component]


def _untied(params) -> tuple[Array, Array]:
    """Returns means [K, dims] and covariances [K, dims, dims], even if these are tied."""
    mean, covariance = params['mean'], params['covariance']
    return mean, jnp.broadcast_to(covariance, (len(mean), *covariance.shape[1:]))


def _normal(keys: Keys, dims: int) -> Rows:
    return jax.vmap(lambda key: jax.random.normal(key, (dims,)))(keys)


def _squares(centered: Rows, weights: Float[Array, 'batch']) -> Float[Array, 'dims']:
    return weights @ jnp.square(centered)


def _products(centered: Rows, weights: Float[Array, 'batch']) -> Float[Array, 'dims dims']:
    return (weights[:, None] * centered).T @ centered


def _moments(x: Rows, weights: Weights, scatter_of) -> Statistics:
    """Returns counts, means, and the scatter around each mean, one component at a time."""
    count = weights.sum(0)
    mean = weights.T @ x / jnp.maximum(count, TINY)[:, None]
    scatter_around = lambda mean_and_weights: scatter_of(
        x - mean_and_weights[0], mean_and_weights[1]
    )
    return {'count': count, 'mean': mean, 'scatter': jax.lax.map(scatter_around, (mean, weights.T))}


def _pooled(stats: Statistics, shares: Float[Array, 'parts'], outer, fold=lambda scatter: scatter):
    """Returns the moments of all parts together: Chan, Golub and LeVeque (1983), equation 2.1."""
    counts = shares[:, None] * stats['count']  # [parts, K]
    count = counts.sum(0)
    mean = jnp.einsum('pk,pkd->kd', counts, stats['mean']) / jnp.maximum(count, TINY)[:, None]
    between = outer(stats['mean'] - mean)  # [parts, K, dims(, dims)]
    weighted = counts.reshape(*counts.shape, *[1] * (between.ndim - 2)) * between
    within = jnp.tensordot(shares, stats['scatter'], 1)
    return {'count': count, 'mean': mean, 'scatter': within + fold(weighted.sum(0))}


def _floored(covariance: Float[Array, 'k dims dims'], floor: float) -> Float[Array, 'k dims dims']:
    """Returns the maximum-likelihood covariance with no variance below `floor` in any direction."""

    def of_one(matrix):
        values, vectors = jnp.linalg.eigh(matrix)
        floored = (vectors * jnp.maximum(values, floor)) @ vectors.T
        return jnp.where(values[0] < floor, floored, matrix)

    return jax.lax.map(of_one, covariance)


def _log_prob(
    x: Rows, mean: Float[Array, 'dims'], covariance: Float[Array, 'dims dims']
) -> Float[Array, 'batch']:
    root = jnp.linalg.cholesky(covariance)
    white = jax.scipy.linalg.solve_triangular(root, (x - mean).T, lower=True)
    log_det = 2 * jnp.sum(jnp.log(jnp.diagonal(root)))
    return -0.5 * (jnp.square(white).sum(0) + log_det + len(mean) * LOG_2_PI)


def _restricted(
    covariance: Float[Array, 'dims dims'], known: Bool[Array, 'dims']
) -> Float[Array, 'dims dims']:
    """Returns the covariance of the known part, in a matrix that is the identity elsewhere."""
    both = known[:, None] & known[None, :]
    return jnp.where(both, covariance, jnp.eye(len(known)))


def _known_log_prob(
    x: Float[Array, 'dims'],
    known: Bool[Array, 'dims'],
    mean: Float[Array, 'dims'],
    covariance: Float[Array, 'dims dims'],
) -> Float[Array, '']:
    """Returns log p of the known part of x; the unknown part enters as standard normals at 0."""
    centered = jnp.where(known, x - mean, 0.0)
    whole = _log_prob(centered[None], jnp.zeros_like(mean), _restricted(covariance, known))[0]
    return whole + 0.5 * LOG_2_PI * jnp.sum(~known)
