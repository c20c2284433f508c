"""A Markov model: p(x_i | the k tokens before it), with Witten-Bell (1991) interpolation.

    p(x | h) = (c(h, x) + T(h) p(x | h')) / (c(h) + T(h)),

where c counts occurrences in the training text, T(h) is the number of distinct tokens that follow h
there, and h' is h without its first token. If h is empty, p(x | h') is uniform. This is method C of
The Zero-Frequency Problem, as written by Chen and Goodman (1998), section 2.5. If nothing follows h
in the training text, p(x | h) = p(x | h').

Most possible n-grams never occur, so dense tables would be nearly empty. Instead, the n-grams that
occur are sorted and indexed, and bisection finds an n-gram by the index of its first n - 1 tokens
and its last token.

Of items (`atelier.data.items`) the context of the first token is one end token, and contexts do not
reach further back. So an item has the same contexts in a packed row as alone.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from atelier.core import game
from atelier.core.family import Family
from atelier.core.types import Batch, Weights
from atelier.data.dataset import Spec
from atelier.data.items import END_TOKEN, are_items
from atelier.errors import MAX_UNROLLED, UserError, at_least
from models.autoregressive import items
from models.autoregressive.autoregressive import Steps
from models.autoregressive.language_model import (
    at_most,
    language_family,
    mean_tokens,
    scored_log_prob,
    text_parts,
)
from models.autoregressive.token_sampling import SamplingOptions, with_sampling
from models.nets.packed_rows import bounds

NONE = jnp.iinfo(jnp.int32).max  # sorts after all codes
MAX_CODES = 2**31 - 1
Begins = Bool[Array, 'rows length'] | None  # the positions where an item begins; None: one text
# n-gram indices of the last 0, 1, ..., k tokens; -1: none
Contexts = list[Int[Array, '*positions']]


class NGramTable(NamedTuple):
    """The n-grams of one length: contexts of n - 1 tokens, each with the token that follows.

    codes: the n-grams' codes, sorted and padded with `NONE`. A code is the index of the context
      times the size of the vocabulary, plus the last token.
    counts: c(h, x) of each n-gram.
    totals, kinds: c(h) and T(h), by the context's index.
    """

    codes: Int[Array, 'ngrams']
    counts: Float[Array, 'ngrams']
    totals: Float[Array, 'contexts']
    kinds: Float[Array, 'contexts']


def markov(spec: Spec, order: int, draws: SamplingOptions) -> Family:
    """Returns the family of one player, `model`, fitted in one step to the whole training split."""
    of_items = are_items(spec)
    at_least(0, 'model.order', order, most=MAX_UNROLLED if of_items else math.inf)
    if not of_items and order > spec.num_dims // 2:
        raise UserError(
            f'config.model.order={order}: must be at most half of config.data.context='
            f'{spec.num_dims}, because some scored tokens have only that many tokens before them'
        )

    def init(key, batch):
        del key
        return counted(batch)

    def counted(batch):
        if of_items:
            x = batch['x'].astype(jnp.int32)
            begins = bounds(x).begins
            return _as_weights(count_ngrams(x, items.is_scored(x), order, spec.levels, begins))
        return _as_weights(count_ngrams(*_tokens_and_mask(batch), order, spec.levels))

    def token_log_probs(weights, batch):
        x, tables = batch['x'].astype(jnp.int32), _tables_of(weights)
        if of_items:
            return log_probs_of_items(tables, x, spec.levels, items.max_length_of(spec))
        return log_probs(tables, x, x[..., None], spec.levels)[..., 0]

    def fit(weights, batch, rng, step, hypers):
        del step, hypers
        nats = -scored_log_prob(token_log_probs(weights, batch), batch)
        names = ('x',) if of_items else ('x', 'num_scored')
        fitted = counted({name: rng.gather(batch[name]) for name in names})
        if of_items:
            mean_nats = jnp.mean(nats) / mean_tokens(batch['x'], rng)
        else:
            mean_nats = rng.batch_size / jnp.sum(rng.gather(batch['num_scored'])) * jnp.mean(nats)
        return {'model': mean_nats}, (fitted.params, fitted.extra, {})

    def parameters(weights, batch, order_index):
        x, candidates = batch['x'].astype(jnp.int32), jnp.arange(spec.levels)
        candidates = jnp.broadcast_to(candidates, (*x.shape, spec.levels))
        begins = bounds(x).begins if of_items else None
        return log_probs(_tables_of(weights), x, candidates, spec.levels, begins)

    steps = _steps(order, spec.levels, of_items)
    parts = text_parts(spec, init=init, parameters=parameters, steps=steps)
    parts = items.of_items(parts) if of_items else parts
    parts = parts._replace(observation=with_sampling(parts.observation, draws))
    return language_family(parts, (game.Fit(('model',), fit),), token_log_probs, at_most(order))


def _tokens_and_mask(
    batch: Batch,
) -> tuple[Int[Array, 'pieces length'], Bool[Array, 'pieces length']]:
    """Returns the tokens, and the mask of the counted tokens, which are the scored ones."""
    x = batch['x'].astype(jnp.int32)
    first = x.shape[1] - batch['num_scored'][:, None]
    return x, jnp.arange(x.shape[1]) >= first


def _as_weights(tables: list[NGramTable]) -> Weights:
    """Returns counts as parameters, which may be averaged, and codes, which may not, as `extra`."""
    named = {str(n): table._asdict() for n, table in enumerate(tables)}
    codes = {n: table.pop('codes') for n, table in named.items()}
    return Weights({'model': named}, {'model': codes})


def _tables_of(weights: Weights) -> list[NGramTable]:
    counts, codes = weights.params['model'], weights.extra['model']
    return [NGramTable(codes=codes[str(n)], **counts[str(n)]) for n in range(len(counts))]


def count_ngrams(
    x: Int[Array, 'pieces length'],
    is_counted: Bool[Array, 'pieces length'],
    order: int,
    vocab_size: int,
    begins: Begins = None,
) -> list[NGramTable]:
    """Counts the n-grams that end at a counted token, for n = 1, ..., order + 1.

    In each piece, at least `order` tokens precede the first counted token, unless the piece begins
    the text. With `begins`, the pieces are packed rows of items.

    Raises:
      UserError: the number of tokens times `vocab_size` exceeds `MAX_CODES`, the largest
        code.
    """
    if x.size * vocab_size > MAX_CODES:
        raise UserError(
            f'{x.size:,} tokens with a vocabulary of {vocab_size} are too many to count: '
            f'give a text of at most {MAX_CODES // vocab_size:,} tokens'
        )
    tables, contexts, num_contexts = [], jnp.zeros_like(x), 1
    for n in range(order + 1):
        codes = jnp.where(contexts < 0, -1, contexts * vocab_size + x)
        counted = jnp.where(is_counted & (contexts >= 0), codes, NONE)
        size = min(num_contexts * vocab_size, x.size)
        distinct, counts = jnp.unique(counted, size=size, fill_value=NONE, return_counts=True)
        counts = jnp.where(distinct == NONE, 0, counts).astype(jnp.float32)
        # those of padding are out of range, and their counts are 0
        prefixes = distinct // vocab_size
        sum_by_context = lambda values, prefixes=prefixes, n=num_contexts: jax.ops.segment_sum(
            values, prefixes, n
        )
        kinds = (counts > 0).astype(jnp.float32)
        tables.append(NGramTable(distinct, counts, sum_by_context(counts), sum_by_context(kinds)))
        contexts = _as_contexts(_index_of(distinct, codes), begins, n, distinct)
        num_contexts = size
    return tables


def _index_of(
    codes: Int[Array, 'ngrams'], queries: Int[Array, '*positions']
) -> Int[Array, '*positions']:
    """Returns the index of each query in the sorted codes; -1 if a query is absent or negative."""
    index = jnp.minimum(jnp.searchsorted(codes, queries), len(codes) - 1).astype(jnp.int32)
    return jnp.where((codes[index] == queries) & (queries >= 0), index, -1)


def _as_contexts(
    indices: Int[Array, 'rows length'], begins: Begins, n: int, codes: Int[Array, 'ngrams']
) -> Int[Array, 'rows length']:
    """Makes the n-gram ending at each token the context of the next one.

    A row starts with -1. With `begins`, each item starts with `_after_end(n, codes)`.
    """
    contexts = jnp.pad(indices[:, :-1], ((0, 0), (1, 0)), constant_values=-1)
    return contexts if begins is None else jnp.where(begins, _after_end(n, codes), contexts)


def _after_end(n: int, codes: Int[Array, 'ngrams']) -> Int[Array, '']:
    """Returns the index of the context of an item's first token, of the n-grams of n + 1 tokens.

    It is the end token alone; a longer context has none.
    """
    return _index_of(codes, jnp.int32(END_TOKEN if n == 0 else -1))


def _extend(table: NGramTable, contexts, x, vocab_size: int):
    """Returns the index of each context extended by the next token."""
    return _index_of(table.codes, jnp.where(contexts < 0, -1, contexts * vocab_size + x))


def log_probs(
    tables: list[NGramTable],
    x: Int[Array, 'rows length'],
    candidates: Int[Array, 'rows length candidates'],
    vocab_size: int,
    begins: Begins = None,
) -> Float[Array, 'rows length candidates']:
    """Returns log p of each candidate at each position, given the tokens before it in its row.

    With `begins`, given those before it in its item.
    """
    contexts = [jnp.zeros_like(x)]
    for n, table in enumerate(tables[:-1]):
        longer = _extend(table, contexts[-1], x, vocab_size)
        contexts.append(_as_contexts(longer, begins, n, table.codes))
    return interpolated(tables, contexts, candidates, vocab_size)


def log_probs_of_items(
    tables: list[NGramTable], x: Int[Array, 'rows length'], vocab_size: int, max_length: int
) -> Float[Array, 'rows length']:
    """Returns log p of each token of packed rows, by `items.possible`; 0 for padding."""
    of_items, ends = bounds(x), jnp.full_like(x, END_TOKEN)
    both = log_probs(tables, x, jnp.stack([x, ends], -1), vocab_size, of_items.begins)
    of_others = jnp.log1p(-jnp.exp(both[..., 1]))  # all tokens but the end
    values = jnp.where(of_items.begins, both[..., 0] - of_others, both[..., 0])
    at_last = jnp.where(x == END_TOKEN, 0.0, -jnp.inf)
    values = jnp.where(of_items.positions >= max_length, at_last, values)
    return items.without_padding(values, x)


def interpolated(
    tables: list[NGramTable],
    contexts: Contexts,
    candidates: Int[Array, '*positions candidates'],
    vocab_size: int,
) -> Float[Array, '*positions candidates']:
    """Returns log p of each candidate after its contexts, by the module docstring's equation."""
    p = jnp.full(candidates.shape, 1 / vocab_size)
    for table, context in zip(tables, contexts, strict=True):
        context = context[..., None]
        index = _extend(table, context, candidates, vocab_size)
        count = jnp.where(index < 0, 0.0, table.counts[index])
        total = jnp.where(context < 0, 0.0, table.totals[context])
        kinds = table.kinds[context]
        p = jnp.where(total > 0, (count + kinds * p) / jnp.where(total > 0, total + kinds, 1.0), p)
    return jnp.log(p)


def _steps(order: int, vocab_size: int, of_items: bool = False) -> Steps:
    """Evaluates token by token; the memory holds the contexts' indices."""

    def begin(weights, given, order_index):
        del order_index
        absent = jnp.full(len(given['x']), -1, jnp.int32)
        contexts = [jnp.zeros_like(absent), *[absent] * order]
        if of_items and order:
            contexts[1] += 1 + _after_end(0, _tables_of(weights)[0].codes)
        return contexts

    def step(weights, contexts, i, previous):
        tables, previous = _tables_of(weights), previous.astype(jnp.int32)
        pairs = zip(tables[:-1], contexts[:-1], strict=True)
        longer = [_extend(table, context, previous, vocab_size) for table, context in pairs]
        longer = [jnp.where(i > 0, *pair) for pair in zip(longer, contexts[1:], strict=True)]
        contexts = [contexts[0], *longer]
        candidates = jnp.broadcast_to(jnp.arange(vocab_size), (len(previous), vocab_size))
        return contexts, interpolated(tables, contexts, candidates, vocab_size)

    return Steps(begin, step)
