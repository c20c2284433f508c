"""Language models with an exact likelihood: p(text) = prod_i p(x_i | tokens before it).

The family takes any `AutoregressiveParts` whose dimensions are categorical and are predicted in the
order of the text, such as those of a transformer, a recurrent network or a Markov model.

The events are windows of an endless text, or items, which end (`atelier.data.items`). The network
of items reads packed rows: `models.autoregressive.items` has what is certain about items, and
`models.nets.packed_rows` their bounds.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from atelier.core import game
from atelier.core.abilities import Extend, LogProb
from atelier.core.family import Family, present
from atelier.core.randomness import Rng, fold_in
from atelier.core.types import Batch
from atelier.data.dataset import Spec
from atelier.data.items import are_items
from models.autoregressive import items
from models.autoregressive.autoregressive import (
    LABEL_DRAW,
    AutoregressiveParts,
    completed,
    conditionals,
    for_training,
    natural_order,
)
from models.autoregressive.token_sampling import SamplingOptions, with_sampling
from models.nets.conditioning import conditional_sample, requested
from models.shared.bayes_classifier import classifier_by_bayes_rule
from models.shared.observations import categorical

ONLY_ORDER = jnp.zeros((), jnp.int32)  # a text has one order of dimensions
LogProbs = Float[Array, 'batch length']


def language_model(parts: AutoregressiveParts, draws: SamplingOptions) -> Family:
    """Returns the family of one player, `model`, which minimizes the nats per token.

    The tokens are all those of a window, or those of the items in all rows of the batch.
    """
    of_items = are_items(parts.spec)
    if of_items:
        parts = items.of_items(parts)

    def token_log_probs(weights, batch, parts=parts):
        log_probs = log_softmax_at(parts.parameters(weights, batch, ONLY_ORDER), batch['x'])
        return items.without_padding(log_probs, batch['x']) if of_items else log_probs

    def loss(weights, batch, rng, step, hypers):
        del step, hypers
        nats = -scored_log_prob(token_log_probs(weights, batch, for_training(parts, rng)), batch)
        mean_length = mean_tokens(batch['x'], rng) if of_items else parts.spec.num_dims
        return {'model': jnp.mean(nats) / mean_length}, (weights.extra, {})

    turns = (game.Turn(('model',), loss),)
    context = '' if of_items else at_most(parts.spec.num_dims - 1)
    parts = parts._replace(observation=with_sampling(parts.observation, draws))
    return language_family(parts, turns, token_log_probs, context)


def mean_tokens(x: LogProbs, rng: Rng) -> Float[Array, '']:
    """Returns the mean number of tokens of items in the rows of the whole batch, at least one."""
    scored_tokens = rng.gather(jnp.sum(items.is_scored(x), 1, dtype=jnp.float32))
    return jnp.maximum(jnp.sum(scored_tokens), 1.0) / rng.batch_size


def at_most(count: int) -> str:
    """Says how many earlier tokens a token depends on at most."""
    return f'given at most {count} character{"s" * (count != 1)} before'


def text_parts(spec: Spec, **fields) -> AutoregressiveParts:
    """Returns `AutoregressiveParts` for a text in its own order."""
    return AutoregressiveParts(
        positions=natural_order(spec), observation=categorical(spec), spec=spec, **fields
    )


def language_family(
    parts: AutoregressiveParts, turns: game.Turns, token_log_probs: Callable, context: str
) -> Family:
    """Returns the family, whose log_prob sums over the scored tokens of each example.

    Args:
      parts: parts of the model, used to sample and to code texts; those of `items.of_items` for
        items.
      turns: how the model is trained.
      token_log_probs: (weights, batch) -> log p [batch, length] of each token given the ones before
        it.
      context: how many earlier tokens a token depends on, in words; '': all those of its item.
    """
    of_items = are_items(parts.spec)

    def nats(weights, batch, rng):
        del rng
        return scored_log_prob(token_log_probs(weights, batch), batch)

    def by_value(weights, batch, rng):
        del rng
        return scored(token_log_probs(weights, batch), batch)

    def extend(weights, batch, rng):
        if parts.is_conditional:  # a text of no requested class or condition has a random one
            keys = fold_in(rng.keys, LABEL_DRAW)
            batch = {**batch, **requested(keys, batch, parts.spec)}
        if of_items:
            return items.completed_items(parts, weights, batch, rng)
        known = jnp.arange(parts.spec.num_dims) < batch['num_known'][:, None]
        return completed(parts, weights, {**batch, 'known': known}, rng)

    def sample(weights, rng, condition):
        x = jnp.zeros((len(rng.rows), parts.spec.num_dims))
        batch = {'x': x, 'num_known': jnp.zeros(len(x), jnp.int32)}
        return extend(weights, {**(condition or {}), **batch}, rng)

    return Family(
        init=parts.init,
        turns=turns,
        metrics=lambda *arguments: {'log_prob_nats': nats(*arguments)},
        abilities=present(
            conditional_sample(sample, LABEL_DRAW, parts.spec, parts.is_conditional),
            Extend(extend),
            LogProb(nats, 'exact', context, by_value=by_value),
            classifier_by_bayes_rule(nats, parts.spec, parts.is_conditional),
            conditionals(parts),
        ),
    )


def log_softmax_at(logits: Float[Array, 'batch length vocab'], x: LogProbs) -> LogProbs:
    """Returns the log softmax of the logits at the tokens x, one value per token."""
    index = x.astype(jnp.int32)[..., None]
    largest = jnp.max(logits, -1, keepdims=True)
    chosen = jnp.take_along_axis(logits - largest, index, -1)[..., 0]
    return chosen - jnp.log(jnp.sum(jnp.exp(logits - largest), -1))


def scored_log_prob(log_probs: LogProbs, batch: Batch) -> Float[Array, 'batch']:
    """Returns the sum of `scored` over each row."""
    return jnp.sum(scored(log_probs, batch), 1)


def scored(log_probs: LogProbs, batch: Batch) -> LogProbs:
    """Returns the values of the last 'num_scored' tokens of each row, and 0 for the others.

    In a batch without this entry, as in gradient training, all tokens are scored.
    """
    length = log_probs.shape[1]
    count = batch.get('num_scored', jnp.full(len(log_probs), length))
    is_scored = jnp.arange(length) >= length - count[:, None]
    return jnp.where(is_scored, log_probs, 0.0)
