"""A Markov model: p(x_i | the k tokens before it), interpolated by Witten and Bell (1991).

    p(x | h) = (c(h, x) + T(h) p(x | h')) / (c(h) + T(h)),

where c counts in the training text, T(h) is the number of distinct tokens that follow h there, and
h' is h without its first token; below the empty context the distribution is uniform. This is
method C of The Zero-Frequency Problem, as written by Chen and Goodman (1998), section 2.5. If
nothing ever followed a context, p(x | h) = p(x | h').

Almost no n-gram occurs, so there are no dense tables: n-grams are indexed in sorted order, and
bisection finds one by the index of its first n - 1 tokens and by its last token.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from atelier.core import game
from atelier.core.family import Family
from atelier.core.types import Batch, Weights
from atelier.data.dataset import Spec
from atelier.errors import UserError, at_least
from models.autoregressive.autoregressive import Steps
from models.autoregressive.language_model import language, parts_of, scored
from models.autoregressive.token_sampling import Draws, drawn_as

NONE = jnp.iinfo(jnp.int32).max  # sorts after all codes
MOST_CODES = 2**31 - 1
Contexts = list[Int[Array, '*place']]  # indices of the last 0, 1, ..., k tokens; -1: none


class Level(NamedTuple):
    """The n-grams of one length: contexts of n - 1 tokens, each with the token that follows.

    codes: sorted; a context's index times the number of symbols, plus the last token; padded with
      `NONE`.
    counts: c(h, x) of each.
    totals, kinds: c(h) and T(h), by the context's index.
    """

    codes: Int[Array, 'ngrams']
    counts: Float[Array, 'ngrams']
    totals: Float[Array, 'contexts']
    kinds: Float[Array, 'contexts']


def markov(spec: Spec, order: int, draws: Draws) -> Family:
    """Returns the game of one player, `model`, fitted in one step to the whole training split."""
    at_least(0, 'model.order', order)
    if order > spec.num_dims // 2:
        raise UserError(
            f'config.model.order={order}: at most half of config.data.context={spec.num_dims} '
            'stands before each symbol that is scored'
        )

    def init(key, batch):
        del key
        return _apart(counted(*_pieces(batch), order, spec.levels))

    def by_symbol(weights, batch):
        x = batch['x'].astype(jnp.int32)
        return log_probs(_levels(weights), x, x[..., None], spec.levels)[..., 0]

    def fit(weights, batch, rng, step, hypers):
        del step, hypers
        nats = -scored(by_symbol(weights, batch), batch)
        scale = rng.batch_size / jnp.sum(rng.gather(batch['num_scored']))
        whole = {name: rng.gather(batch[name]) for name in ('x', 'num_scored')}
        after = _apart(counted(*_pieces(whole), order, spec.levels))
        return {'model': scale * jnp.mean(nats)}, (after.params, after.extra, {})

    def parameters(weights, batch, number):
        x, every = batch['x'].astype(jnp.int32), jnp.arange(spec.levels)
        every = jnp.broadcast_to(every, (*x.shape, spec.levels))
        return log_probs(_levels(weights), x, every, spec.levels)

    steps = _steps(order, spec.levels)
    parts = parts_of(spec, init=init, parameters=parameters, steps=steps)
    parts = parts._replace(observation=drawn_as(parts.observation, draws))
    return language(parts, (game.Fit(('model',), fit),), by_symbol, most_seen=order)


def _pieces(batch: Batch) -> tuple[Int[Array, 'pieces length'], Bool[Array, 'pieces length']]:
    """Returns the tokens, and a mask of those that are counted: those that are scored."""
    x = batch['x'].astype(jnp.int32)
    first = x.shape[1] - batch['num_scored'][:, None]
    return x, jnp.arange(x.shape[1]) >= first


def _apart(levels: list[Level]) -> Weights:
    """Returns counts as parameters and codes as `extra`, since integers cannot be averaged."""
    named = {str(n): level._asdict() for n, level in enumerate(levels)}
    codes = {n: level.pop('codes') for n, level in named.items()}
    return Weights({'model': named}, {'model': codes})


def _levels(weights: Weights) -> list[Level]:
    own = weights.params['model']
    return [Level(codes=weights.extra['model'][str(n)], **own[str(n)]) for n in range(len(own))]


def counted(
    x: Int[Array, 'pieces length'],
    is_counted: Bool[Array, 'pieces length'],
    order: int,
    symbols: int,
) -> list[Level]:
    """Counts the n-grams that end at a counted token, for n = 1, ..., order + 1.

    The counted tokens of a piece follow at least `order` tokens of the text, unless the text begins
    there.

    Raises:
      UserError: there are more symbols than the codes have room for.
    """
    if x.size * symbols > MOST_CODES:
        raise UserError(
            f'{x.size:,} symbols of {symbols} kinds are too many to count: '
            f'{MOST_CODES // symbols:,} are the most'
        )
    levels, contexts, num_contexts = [], jnp.zeros_like(x), 1
    for _ in range(order + 1):
        codes = jnp.where(contexts < 0, -1, contexts * symbols + x)
        here = jnp.where(is_counted & (contexts >= 0), codes, NONE)
        size = min(num_contexts * symbols, x.size)
        found, counts = jnp.unique(here, size=size, fill_value=NONE, return_counts=True)
        counts = jnp.where(found == NONE, 0, counts).astype(jnp.float32)
        followed = found // symbols  # padding: out of range, or its count is 0
        of_context = lambda values, followed=followed, n=num_contexts: jax.ops.segment_sum(
            values, followed, n
        )
        kinds = (counts > 0).astype(jnp.float32)
        levels.append(Level(found, counts, of_context(counts), of_context(kinds)))
        contexts, num_contexts = _behind(_number(found, codes)), size
    return levels


def _number(codes: Int[Array, 'ngrams'], wanted: Int[Array, '*place']) -> Int[Array, '*place']:
    """Returns the index of each code among the sorted ones; -1 if it is absent or negative."""
    place = jnp.minimum(jnp.searchsorted(codes, wanted), len(codes) - 1).astype(jnp.int32)
    return jnp.where((codes[place] == wanted) & (wanted >= 0), place, -1)


def _behind(numbers: Int[Array, 'rows length']) -> Int[Array, 'rows length']:
    """Shifts n-grams to become the context of the next token; the first of a row has no context."""
    return jnp.pad(numbers[:, :-1], ((0, 0), (1, 0)), constant_values=-1)


def _after(level: Level, contexts, x, symbols: int):
    """Returns the index of each context extended by the next token."""
    return _number(level.codes, jnp.where(contexts < 0, -1, contexts * symbols + x))


def log_probs(
    levels: list[Level],
    x: Int[Array, 'rows length'],
    candidates: Int[Array, 'rows length candidates'],
    symbols: int,
) -> Float[Array, 'rows length candidates']:
    """Returns log p of each candidate at each position, given the tokens before it in its row."""
    contexts = [jnp.zeros_like(x)]
    for level in levels[:-1]:
        contexts.append(_behind(_after(level, contexts[-1], x, symbols)))
    return interpolated(levels, contexts, candidates, symbols)


def interpolated(
    levels: list[Level],
    contexts: Contexts,
    candidates: Int[Array, '*place candidates'],
    symbols: int,
) -> Float[Array, '*place candidates']:
    """Returns log p of each candidate after its contexts, by the module docstring's equation."""
    p = jnp.full(candidates.shape, 1 / symbols)
    for level, context in zip(levels, contexts, strict=True):
        context = context[..., None]
        number = _after(level, context, candidates, symbols)
        count = jnp.where(number < 0, 0.0, level.counts[number])
        total = jnp.where(context < 0, 0.0, level.totals[context])
        kinds = level.kinds[context]
        p = jnp.where(total > 0, (count + kinds * p) / jnp.where(total > 0, total + kinds, 1.0), p)
    return jnp.log(p)


def _steps(order: int, symbols: int) -> Steps:
    """Evaluates token by token; the memory holds the contexts' indices."""

    def begin(weights, given, number):
        del number
        nothing = jnp.full(len(given['x']), -1, jnp.int32)
        return [jnp.zeros_like(nothing), *[nothing] * order]

    def step(weights, contexts, i, before):
        levels, before = _levels(weights), before.astype(jnp.int32)
        pairs = zip(levels[:-1], contexts[:-1], strict=True)
        longer = [_after(level, context, before, symbols) for level, context in pairs]
        after = [jnp.where(i > 0, *pair) for pair in zip(longer, contexts[1:], strict=True)]
        contexts = [contexts[0], *after]
        every = jnp.broadcast_to(jnp.arange(symbols), (len(before), symbols))
        return contexts, interpolated(levels, contexts, every, symbols)

    return Steps(begin, step)
