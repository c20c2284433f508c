"""Autoregressive models with an exact likelihood: p(x) = prod_i p(x_i | x before i in an order).

With several orders the model is their mixture, whose p(x) is exact as well: Uria, Murray and
Larochelle (2014), A Deep and Tractable Density Estimator, section 4.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from atelier.core import game
from atelier.core.abilities import Conditionals, Inpaint, LogProb
from atelier.core.family import Family, present
from atelier.core.randomness import Rng, fold_in
from atelier.core.types import Batch
from atelier.data.dataset import Spec
from models.nets.conditioning import conditional_sample, requested
from models.shared.bayes_classifier import classifier_by_bayes_rule
from models.shared.observations import Observation, level_log_probs

ORDER_DRAW, LABEL_DRAW, DIM_DRAWS = 0, 1, 2  # indices folded into each row's key


class Steps(NamedTuple):
    """Evaluation of one dimension at a time, in an order, with earlier computation cached.

    begin: (weights, given, order_index) -> the initial memory for the order with this index. Of x
      in the batch `given`, it reads only the shape.
    step: (weights, memory, i, previous) -> (memory, parameters [batch, size]) of the i-th
      dimension; `previous` [batch] is the value of the dimension before it, or 0 for the first.
    """

    begin: Callable
    step: Callable


class AutoregressiveParts(NamedTuple):
    """The parts of an autoregressive model.

    init: (key, batch) -> weights.
    parameters: (weights, batch, order_index) -> parameters of the observation, [batch, *event,
      size]. Those of a dimension depend only on the dimensions before it in the order with this
      index, and on the label or condition of a conditional model.
    positions: (extra) -> [orders, dims] int32: the position of each dimension of the flat x in each
      order.
    observation: the distribution of each dimension.
    spec: spec of the data.
    steps: the same parameters, one dimension at a time. None evaluates the whole network for each
      dimension.
    is_conditional: whether the model is p(x | label), or p(x | condition).
    num_orders: number of orders, the first axis of `positions`.
    in_training: `parameters` for the loss, with a further argument: keys [batch, 2] for random
      draws such as dropout. None if training draws nothing.
    """

    init: Callable
    parameters: Callable
    positions: Callable
    observation: Observation
    spec: Spec
    steps: Steps | None = None
    is_conditional: bool = False
    num_orders: int = 1
    in_training: Callable | None = None


def natural_order(spec: Spec) -> Callable:
    """Returns `positions` for a single order, that of the flat x."""
    order = jnp.arange(spec.num_dims, dtype=jnp.int32)[None]
    return lambda extra: order


def for_training(parts: AutoregressiveParts, rng: Rng) -> AutoregressiveParts:
    """Returns `parts` for the loss, with the random draws of training."""
    if parts.in_training is None:
        return parts
    parameters = lambda *arguments: parts.in_training(*arguments, rng.keys)
    return parts._replace(parameters=parameters)


def autoregressive(parts: AutoregressiveParts) -> Family:
    """Returns the family of one player, `model`, which minimizes -log p(x) in a random order.

    A model of p(x | label) classifies by Bayes' rule.
    """

    def loss(weights, batch, rng, step, hypers):
        del step, hypers
        order_index = jax.random.randint(rng.shared_key, (), 0, parts.num_orders)
        nats = -log_prob_in_order(for_training(parts, rng), weights, batch, order_index)
        return {'model': jnp.mean(nats)}, (weights.extra, {})

    def nats(weights, batch, rng):
        del rng
        return log_prob(parts, weights, batch)

    def sample(weights, rng, condition):
        x = jnp.zeros((len(rng.rows), *parts.spec.event_shape))
        batch = {'x': x, 'known': jnp.zeros(x.shape, bool)}
        if parts.is_conditional:
            keys = fold_in(rng.keys, LABEL_DRAW)
            batch |= requested(keys, condition, parts.spec)
        return completed(parts, weights, batch, rng)

    def inpaint(weights, batch, rng):
        return completed(parts, weights, batch, rng)

    return Family(
        init=parts.init,
        turns=(game.Turn(('model',), loss),),
        metrics=lambda *arguments: {'log_prob_nats': nats(*arguments)},
        abilities=present(
            conditional_sample(sample, LABEL_DRAW, parts.spec, parts.is_conditional),
            Inpaint(inpaint),
            LogProb(nats, 'exact'),
            classifier_by_bayes_rule(nats, parts.spec, parts.is_conditional),
            conditionals(parts),
        ),
    )


def log_prob_in_order(
    parts: AutoregressiveParts, weights, batch: Batch, order_index: Int[Array, '']
) -> Float[Array, 'batch']:
    """Returns log p(x), or log p(x | label), in nats, in one of the orders."""
    parameters = parts.parameters(weights, batch, order_index)
    return parts.observation.log_prob(batch['x'], parameters)


def log_prob(parts: AutoregressiveParts, weights, batch: Batch) -> Float[Array, 'batch']:
    """Returns log p(x), or log p(x | label), in nats, under the mixture of all orders."""
    count = parts.num_orders
    in_order = lambda order_index: log_prob_in_order(parts, weights, batch, order_index)
    return jax.nn.logsumexp(jax.lax.map(in_order, jnp.arange(count)), 0) - np.log(count)


def completed(
    parts: AutoregressiveParts, weights, batch: Batch, rng: Rng
) -> Float[Array, 'batch *event']:
    """Returns x with its unknown dimensions drawn one by one, each given the earlier dimensions.

    A known dimension conditions only the dimensions after it in the order. If it comes after a
    hidden dimension, the draw is therefore not from p(hidden | known). Each example draws its order
    uniformly, whereas the exact mixture would weight each order by the likelihood of the known part
    under it.
    """
    known, count = batch['known'].astype(bool), parts.num_orders
    batch = {**batch, 'x': jnp.where(known, batch['x'], 0.0), 'known': known}
    draw = lambda order_index: _draw_in_order(parts, weights, batch, rng, order_index)
    if count == 1:
        return draw(0)
    keys = fold_in(rng.keys, ORDER_DRAW)
    chosen = jax.vmap(lambda key: jax.random.randint(key, (), 0, count))(keys)
    draws = jax.lax.map(draw, jnp.arange(count))  # a network uses one order for the whole batch
    return draws[chosen, jnp.arange(len(chosen))]


def _draw_in_order(parts, weights, batch, rng: Rng, order_index):
    steps, shape = parts.steps or whole_network(parts), batch['x'].shape
    order = jnp.argsort(parts.positions(weights.extra)[order_index])
    flat, known = batch['x'].reshape(len(batch['x']), -1), batch['known'].reshape(shape[0], -1)

    def step(carry, indices):
        memory, previous = carry
        i, dim = indices
        memory, parameters = steps.step(weights, memory, i, previous)
        keys = fold_in(rng.keys, DIM_DRAWS + dim)
        drawn = parts.observation.sample(keys, parameters, dim).astype(flat.dtype)
        value = jnp.where(known[:, dim], flat[:, dim], drawn)
        return (memory, value), value

    start = steps.begin(weights, batch, order_index), jnp.zeros_like(flat[:, 0])
    _, values = jax.lax.scan(step, start, (jnp.arange(len(order)), order))
    return flat.at[:, order].set(values.T).reshape(shape)


def conditionals(parts: AutoregressiveParts) -> Conditionals | None:
    """Returns p(x_i | earlier x) of levels; None for real values or several orders.

    A mixture of orders has no such factors.
    """
    if parts.spec.levels is None or parts.num_orders > 1:
        return None
    steps = parts.steps or whole_network(parts)

    def step(weights, memory, i: Int[Array, ''], previous: Float[Array, 'batch']):
        memory, parameters = steps.step(weights, memory, i, previous)
        return memory, level_log_probs(parts.observation, parameters, parts.spec.levels)

    return Conditionals(
        order=lambda weights: jnp.argsort(parts.positions(weights.extra)[0]).astype(jnp.int32),
        begin=lambda weights, given: steps.begin(weights, given, 0),
        step=step,
    )


def whole_network(parts: AutoregressiveParts) -> Steps:
    """Evaluates the whole network for each dimension and keeps only that dimension's parameters."""

    def begin(weights, given: Batch, order_index):
        # dimensions not drawn yet must be finite, because a zero weight times NaN is NaN
        x = parts.spec.denormalize(jnp.zeros_like(given['x']))
        order = jnp.argsort(parts.positions(weights.extra)[order_index])
        return {**given, 'x': x}, order_index, order

    def step(weights, memory, i: Int[Array, ''], previous: Float[Array, 'batch']):
        batch, order_index, order = memory
        x = batch['x'].reshape(len(previous), -1)
        dim = order[jnp.maximum(i - 1, 0)]
        x = x.at[:, dim].set(jnp.where(i > 0, previous, x[:, dim])).reshape(batch['x'].shape)
        batch = {**batch, 'x': x}
        parameters = parts.parameters(weights, batch, order_index)
        parameters = parameters.reshape(len(previous), -1, parameters.shape[-1])[:, order[i]]
        return (batch, order_index, order), parameters

    return Steps(begin, step)
