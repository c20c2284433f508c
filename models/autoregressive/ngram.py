"""A Markov window: p(x_i | the k symbols before it), counts interpolated by Witten and Bell (1991).

    p(x | h) = (c(h, x) + T(h) p(x | h')) / (c(h) + T(h)),

where c counts in the training text, T(h) is how many different symbols follow h there, and h' is h
without its first symbol; below the empty context all symbols are equally likely. That is method C
of The Zero-Frequency Problem, as Chen and Goodman (1998), section 2.5, write it. A context that was
never followed by anything says nothing: p(x | h) = p(x | h').

Almost no n-gram occurs, so that there are no tables of all: n-grams are numbered in sorted order,
and one is found, by bisection, by the number of its first n - 1 symbols and the last symbol.
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

NONE = jnp.iinfo(jnp.int32).max  # stands behind all codes
MOST_CODES = 2**31 - 1
Contexts = list[Int[Array, '*place']]  # numbers of the last 0, 1, ..., k symbols; -1: never seen


class Level(NamedTuple):
    """The n-grams of one length, contexts of n - 1 symbols and what follows them.

    codes: sorted, a context's number times the symbols, plus the last symbol; `NONE` of no n-gram.
    counts: c(h, x) of each.
    totals, kinds: c(h) and T(h), by the context's number.
    """

    codes: Int[Array, 'ngrams']
    counts: Float[Array, 'ngrams']
    totals: Float[Array, 'contexts']
    kinds: Float[Array, 'contexts']


def markov(spec: Spec, order: int, draws: Draws) -> Family:
    """A game of one player, `model`, fitted in one step to all of the training split."""
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
    """Symbols, and which of them are counted: those that are scored."""
    x = batch['x'].astype(jnp.int32)
    first = x.shape[1] - batch['num_scored'][:, None]
    return x, jnp.arange(x.shape[1]) >= first


def _apart(levels: list[Level]) -> Weights:
    """Counts are parameters; codes are not, for nothing averages integers."""
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
    """The n-grams that end at a counted symbol, for n = 1, ..., order + 1.

    Before the counted symbols of a piece stand those that they follow in the text, at least
    `order`, or the text begins there.

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
        followed = found // symbols  # of no n-gram beyond all contexts, or it counts 0
        of_context = lambda values, followed=followed, n=num_contexts: jax.ops.segment_sum(
            values, followed, n
        )
        kinds = (counts > 0).astype(jnp.float32)
        levels.append(Level(found, counts, of_context(counts), of_context(kinds)))
        contexts, num_contexts = _behind(_number(found, codes)), size
    return levels


def _number(codes: Int[Array, 'ngrams'], wanted: Int[Array, '*place']) -> Int[Array, '*place']:
    """Of each code its place in the sorted ones; -1 of one that is not there, or is negative."""
    place = jnp.minimum(jnp.searchsorted(codes, wanted), len(codes) - 1).astype(jnp.int32)
    return jnp.where((codes[place] == wanted) & (wanted >= 0), place, -1)


def _behind(numbers: Int[Array, 'rows length']) -> Int[Array, 'rows length']:
    """What ends at a symbol is the context of the next one; the first of a row has none."""
    return jnp.pad(numbers[:, :-1], ((0, 0), (1, 0)), constant_values=-1)


def _after(level: Level, contexts, x, symbols: int):
    """The number of each context with the symbol behind it."""
    return _number(level.codes, jnp.where(contexts < 0, -1, contexts * symbols + x))


def log_probs(
    levels: list[Level],
    x: Int[Array, 'rows length'],
    candidates: Int[Array, 'rows length candidates'],
    symbols: int,
) -> Float[Array, 'rows length candidates']:
    """log p of each candidate in the place of a symbol, given the symbols before it in its row."""
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
    """log p of each candidate behind its contexts, as the head of this file has it."""
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
    """Symbol by symbol: what is kept are the contexts' numbers."""

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
