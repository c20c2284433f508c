"""Models fitted without gradients: sums over minibatches, and parameters computed from the sums."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from atelier.core import game
from atelier.core.types import Weights
from atelier.errors import share as check_share

Statistics = Any  # a pytree of arrays


class Estimator(NamedTuple):
    """How a model is estimated from sums over examples.

    statistics: (weights, batch) -> (Statistics of this device's rows, loss_nats [local]).
    pooled: (Statistics with a leading axis, part_weights [parts]) -> Statistics of all parts, each
      weighted by its share.
    maximize: (Statistics) -> (params, structure): the maximum-likelihood parameters, and the part
      of the estimate that is not float and thus cannot be averaged.
    """

    statistics: Callable
    pooled: Callable
    maximize: Callable


def summed(statistics: Statistics, part_weights: jax.Array) -> Statistics:
    """`pooled` for statistics that are sums."""
    return jax.tree.map(lambda leaf: jnp.tensordot(part_weights, leaf, 1), statistics)


def fit_turn(estimator: Estimator, forgetting: float) -> game.Fit:
    """Returns the turn in which the only player, `model`, is fitted to a running mean of minibatch
    statistics.

    Minibatch t enters the running mean with weight (t + 1)^-forgetting. If `forgetting` is 0, only
    the current minibatch counts. If that is the whole training split, each step is an iteration of
    expectation maximisation (Dempster, Laird and Rubin 1977). If `forgetting` is 1, the running
    mean is the mean over all minibatches so far, as closed-form estimates need. Values between 1/2
    and 1 give the online EM of Cappe and Moulines (2009), section 2.2.
    """
    check_share('model.forgetting', forgetting)

    def fit(weights, batch, rng, step, hypers):
        del hypers
        local, loss = estimator.statistics(weights, batch)
        by_device = jax.tree.map(lambda leaf: rng.gather(leaf[None]), local)  # from all devices
        new = estimator.pooled(by_device, jnp.ones(jax.tree.leaves(by_device)[0].shape[0]))
        share = (step + 1.0) ** -forgetting
        stacked = jax.tree.map(
            lambda *parts: jnp.stack(parts), weights.extra['model']['statistics'], new
        )
        kept = estimator.pooled(stacked, jnp.stack([1 - share, share]))
        params, structure = estimator.maximize(kept)
        extra = {'model': {'statistics': kept, **structure}}
        return {'model': jnp.mean(loss)}, ({'model': params}, extra, {})

    return game.Fit(('model',), fit)


def initial_weights(estimator: Estimator, statistics: Statistics) -> Weights:
    """Returns the weights before the first step, estimated from these statistics."""
    params, structure = estimator.maximize(statistics)
    return Weights({'model': params}, {'model': {'statistics': statistics, **structure}})
