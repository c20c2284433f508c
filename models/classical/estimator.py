"""Models that are fitted outright: sums over a minibatch, and the parameters that they ask for."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from atelier.core import game
from atelier.core.types import Weights
from atelier.errors import share as check_share

Statistics = Any  # a pytree of arrays


class Estimator(NamedTuple):
    """How a model follows from sums over examples.

    statistics: (weights, batch) -> (Statistics of this device's rows, loss_nats [local]).
    pooled: (Statistics with a leading axis, shares [parts]) -> Statistics of all parts, each
      counted as its share says.
    maximize: (Statistics) -> (params, structure): the parameters under which the examples are most
      likely, and what of them is no float, by which nothing can be averaged.
    """

    statistics: Callable
    pooled: Callable
    maximize: Callable


def summed(statistics: Statistics, shares: jax.Array) -> Statistics:
    """`pooled` of statistics that are sums."""
    return jax.tree.map(lambda leaf: jnp.tensordot(shares, leaf, 1), statistics)


def fit_turn(estimator: Estimator, forgetting: float) -> game.Fit:
    """One player, `model`, fitted to a running mean of its minibatches' statistics.

    Minibatch t counts for (t + 1)^-forgetting, those before it for the rest: 0 is the minibatch
    alone, and with the whole training split in it that is an iteration of expectation maximisation
    (Dempster, Laird and Rubin 1977); 1 is the mean of all so far, as closed forms want it; in
    between is the online EM of Cappe and Moulines (2009), section 2.2, which asks for more than
    1/2.
    """
    check_share('model.forgetting', forgetting)

    def fit(weights, batch, rng, step, hypers):
        del hypers
        here, loss = estimator.statistics(weights, batch)
        each = jax.tree.map(lambda leaf: rng.gather(leaf[None]), here)  # of all devices
        new = estimator.pooled(each, jnp.ones(jax.tree.leaves(each)[0].shape[0]))
        share = (step + 1.0) ** -forgetting
        both = jax.tree.map(
            lambda *parts: jnp.stack(parts), weights.extra['model']['statistics'], new
        )
        kept = estimator.pooled(both, jnp.stack([1 - share, share]))
        moved, structure = estimator.maximize(kept)
        extra = {'model': {'statistics': kept, **structure}}
        return {'model': jnp.mean(loss)}, ({'model': moved}, extra, {})

    return game.Fit(('model',), fit)


def started(estimator: Estimator, statistics: Statistics) -> Weights:
    """The weights before the first step, as these statistics ask for them."""
    params, structure = estimator.maximize(statistics)
    return Weights({'model': params}, {'model': {'statistics': statistics, **structure}})
