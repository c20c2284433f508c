"""Items, texts that end, under an autoregressive model: what is certain is part of the model.

A model of tokens is made a distribution of the items of at most `max_length` symbols, whose
probabilities sum to 1:

- an item has a symbol: the end token is impossible at its first position,
- an item has at most `max_length` symbols: at that position only the end token is possible,
- nothing follows the end of an event: only end tokens, its padding, are possible there.

The possible tokens keep the ratios of their probabilities. A certain token costs 0 nats.

In a packed row another item may follow an end. Its tokens have the same probabilities as if it
began a row, and padding costs 0 nats, so that log p of a row is the sum of those of its items.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Num

from atelier.core.randomness import Rng, fold_in
from atelier.core.types import Batch
from atelier.data.items import END_TOKEN
from atelier.data.spec import Spec
from models.autoregressive.autoregressive import (
    DIM_DRAWS,
    AutoregressiveParts,
    Steps,
    whole_network,
)
from models.nets.packed_rows import Bounds, bounds

Logits = Float[Array, '*positions vocab']
Tokens = Num[Array, 'rows length']


def max_length_of(spec: Spec) -> int:
    """Returns the largest number of symbols of an item, its end not counted."""
    return spec.num_dims - 1


def of_items(parts: AutoregressiveParts) -> AutoregressiveParts:
    """Returns `parts`, of a categorical observation, with what is certain about items.

    The given `parameters` read packed rows; those that are returned do, too. There, the parameters
    after an end are those of the first token of an item, because another item may follow. The
    returned `steps` are of one event, where nothing follows the end.
    """
    max_length = max_length_of(parts.spec)

    def masked(parameters):
        def of_rows(weights, batch: Batch, *arguments):
            logits = parameters(weights, batch, *arguments)
            return possible_in_rows(logits, bounds(batch['x']), max_length)

        return of_rows

    return parts._replace(
        parameters=masked(parts.parameters),
        steps=item_steps(parts.steps or whole_network(parts), max_length),
        in_training=parts.in_training and masked(parts.in_training),
    )


def possible(
    logits: Logits, is_first: Bool[Array, '*#positions'], must_end: Bool[Array, '*#positions']
) -> Logits:
    """Returns the logits, -inf for the end where an item begins, and for all else where it ends."""
    is_end = jnp.arange(logits.shape[-1]) == END_TOKEN
    is_possible = jnp.where(must_end[..., None], is_end, ~(is_end & is_first[..., None]))
    return jnp.where(is_possible, logits, -jnp.inf)


def possible_in_rows(
    logits: Float[Array, 'rows length vocab'], of_items: Bounds, max_length: int
) -> Float[Array, 'rows length vocab']:
    """Returns the logits of the tokens of packed rows, with what is certain about items."""
    return possible(logits, of_items.begins, of_items.positions >= max_length)


def is_scored(x: Tokens) -> Bool[Array, 'rows length']:
    """Whether a token belongs to an item, as `atelier.data.items.is_scored`; false for padding."""
    return ~((x == END_TOKEN) & bounds(x).begins)


def without_padding(
    log_probs: Float[Array, 'rows length'], x: Tokens
) -> Float[Array, 'rows length']:
    """Returns log p of each token; 0 for padding, which is certain."""
    return jnp.where(is_scored(x), log_probs, 0.0)


def item_steps(steps: Steps, max_length: int) -> Steps:
    """Returns the steps of one event, after whose end only end tokens are possible."""

    def begin(weights, given: Batch, order_index):
        return steps.begin(weights, given, order_index), jnp.zeros(len(given['x']), bool)

    def step(weights, memory, i, previous: Float[Array, 'batch']):
        inner, has_ended = memory
        has_ended |= (i > 0) & (previous == END_TOKEN)
        inner, logits = steps.step(weights, inner, i, previous)
        is_first = jnp.broadcast_to(jnp.asarray(i == 0), has_ended.shape)
        return (inner, has_ended), possible(logits, is_first, has_ended | (i >= max_length))

    return Steps(begin, step)


def completed_items(
    parts: AutoregressiveParts, weights, batch: Batch, rng: Rng
) -> Float[Array, 'batch length']:
    """Returns x [batch, length], which begins with the first 'num_known' tokens of the batch's x.

    The other tokens are drawn one by one by the steps of `of_items`, with the keys of
    `autoregressive.completed`, until all items of the batch have ended.
    """
    x, num_known = batch['x'], batch['num_known']
    begun = parts.steps.begin(weights, batch, 0)

    def is_going(carry):
        i, _, previous, _ = carry
        return (i < x.shape[1]) & ((i == 0) | jnp.any(previous != END_TOKEN))

    def step(carry):
        i, memory, previous, drawn = carry
        memory, logits = parts.steps.step(weights, memory, i, previous)
        new = parts.observation.sample(fold_in(rng.keys, DIM_DRAWS + i), logits, i)
        value = jnp.where(i < num_known, x[:, i], new.astype(x.dtype))
        return i + 1, memory, value, drawn.at[i].set(value)

    start = jnp.int32(0), begun, jnp.zeros_like(x[:, 0]), jnp.full_like(x.T, END_TOKEN)
    return jax.lax.while_loop(is_going, step, start)[-1].T
