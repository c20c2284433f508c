"""Autoregressive models: p(x) = prod_i p(x_i | those before it in an order), exactly.

With several orders the model is their mixture, which is as exact: Uria, Murray and Larochelle
(2014), A Deep and Tractable Density Estimator, section 4.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

import game
from datasets.dataset import Spec
from models.observations import Observation

ORDER_DRAW, NUMBER_DRAWS = 0, 1  # of the keys of each row; numbers from the latter on
Events = Float[Array, 'batch *event']


class Parts(NamedTuple):
    """What an autoregressive model is made of.

    init: (key, batch) -> (params, extra) by player.
    parameters: (params, extra, x, number) -> those of the observation, [batch, *event, size]: in
      the order of this number they depend on what comes before alone.
    places: (extra) -> [orders, dims] int32: where in each order a number of the flat x comes.
    observation: the distribution of each number.
    spec: of the data.
    """

    init: Callable
    parameters: Callable
    places: Callable
    observation: Observation
    spec: Spec


def autoregressive(parts: Parts) -> game.Family:
    """A game of one player, `model`, which descends -log p(x) in one of its orders at each step."""

    def loss(params, extra, batch, draw, step, hypers):
        del step, hypers
        count = len(parts.places(extra))
        number = jax.random.randint(draw.shared_key, (), 0, count)
        nats = -in_order(parts, params, extra, batch['x'], number)
        return {'model': jnp.mean(nats)}, (extra, {})

    def nats(params, extra, batch, draw):
        del draw
        return log_prob(parts, params, extra, batch['x'])

    def sample(params, extra, draw, condition):
        del condition
        x = jnp.zeros((len(draw.rows), *parts.spec.event_shape))
        return completed(parts, params, extra, x, jnp.zeros(x.shape, bool), draw)

    def inpaint(params, extra, batch, draw):
        return completed(parts, params, extra, batch['x'], batch['known'].astype(bool), draw)

    return game.Family(
        init=parts.init,
        turns=(game.Turn(('model',), loss),),
        metrics=lambda *arguments: {'log_prob_nats': nats(*arguments)},
        sample=sample,
        inpaint=inpaint,
        log_prob=game.LogProb(nats, 'exact'),
    )


def in_order(
    parts: Parts, params, extra, x: Events, number: Int[Array, '']
) -> Float[Array, 'batch']:
    """log p(x) in nats, by one of the orders."""
    return parts.observation.log_prob(x, parts.parameters(params, extra, x, number))


def log_prob(parts: Parts, params, extra, x: Events) -> Float[Array, 'batch']:
    """log p(x) in nats: of several orders that of their mixture."""
    count = len(parts.places(extra))
    each = jax.lax.map(lambda number: in_order(parts, params, extra, x, number), jnp.arange(count))
    return jax.nn.logsumexp(each, 0) - np.log(count)


def completed(parts: Parts, params, extra, x: Events, known, draw: game.Draw) -> Events:
    """x with what is not known drawn number by number, each given those before it in an order.

    A number that is known is seen by those behind it alone: where it lies behind what is hidden,
    this is not p(hidden | known). Each example has an order of its own.
    """
    places = parts.places(extra)
    blank = jnp.where(known, x, parts.spec.denormalize(jnp.zeros_like(x)))

    def by(number):
        return _walked(
            parts, params, extra, blank, known, draw, number, jnp.argsort(places[number])
        )

    if len(places) == 1:
        return by(0)
    keys = game.part_of(draw.keys, ORDER_DRAW)
    own = jax.vmap(lambda key: jax.random.randint(key, (), 0, len(places)))(keys)
    every = jax.lax.map(by, jnp.arange(len(places)))  # a network has one order for its batch
    return every[own, jnp.arange(len(x))]


def _walked(parts, params, extra, x: Events, known, draw: game.Draw, number, order) -> Events:
    flat_known = known.reshape(len(x), -1)

    def step(flat, place):
        told = parts.parameters(params, extra, flat.reshape(x.shape), number)
        keys = game.part_of(draw.keys, NUMBER_DRAWS + place)
        made = parts.observation.sample(keys, told).reshape(flat.shape)[:, place]
        value = jnp.where(flat_known[:, place], flat[:, place], made)
        return flat.at[:, place].set(value), None

    flat, _ = jax.lax.scan(step, x.reshape(len(x), -1), order)
    return flat.reshape(x.shape)
