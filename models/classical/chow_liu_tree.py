"""The Chow-Liu tree: the maximum-likelihood tree over dimensions with discrete levels.

    p(x) = p(x_root) prod_i p(x_i | x_parent(i))

Each dimension depends on one other dimension, and the best tree is the maximum spanning tree of
mutual information: Chow and Liu (1968), Approximating Discrete Probability Distributions with
Dependence Trees.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import entr
from jaxtyping import Array, Bool, Float, Int, UInt32

from atelier.core.abilities import Conditionals, DependenceTree, Inpaint, LogProb, Sample
from atelier.core.family import Family
from atelier.core.randomness import fold_in
from atelier.core.types import Weights
from atelier.data.dataset import Spec
from atelier.data.image_sizes import image_advice
from atelier.errors import UserError, at_least
from models.classical.components import TINY
from models.classical.estimator import Estimator, Statistics, fit_turn, initial_weights, summed

ROOT = 0
MAX_PAIRS = 20_000**2  # pairs of levels of two dimensions; their counts take 1.6 gigabytes
Levels = Int[Array, 'batch dims']
Pairs = Float[Array, 'dims levels dims levels']


class ChowLiuParts(NamedTuple):
    """The parts of a tree model.

    spec: spec of the data, which have levels.
    pseudo_count: examples added to the observed ones, spread evenly over all pairs of levels.
    forgetting: as in `models.classical.estimator.fit_turn`.
    """

    spec: Spec
    pseudo_count: float
    forgetting: float


class Tree(NamedTuple):
    """A fitted tree.

    log_probs: log p(x_i = b | x_parent(i) = a), indexed by i, a and b; log p(b) for the root.
    parent: parent of each dimension; the root is its own parent.
    order: all dimensions, parents before their children.
    """

    log_probs: Float[Array, 'dims levels levels']
    parent: Int[Array, 'dims']
    order: Int[Array, 'dims']


def check(parts: ChowLiuParts) -> None:
    """Refuses an invalid tree, or one that does not fit in memory.

    Raises:
      UserError: the message says which setting to change.
    """
    spec = parts.spec
    at_least(0, 'model.pseudo_count', parts.pseudo_count)
    if spec.levels is None:
        raise UserError('config.data: the data are real-valued, but a tree needs discrete levels')
    pairs = (spec.num_dims * spec.levels) ** 2
    if pairs > MAX_PAIRS:
        raise UserError(
            f'config.data: {spec.num_dims} dimensions of {spec.levels} levels make {pairs:,} pairs '
            f'to count, and {MAX_PAIRS:,} are the limit: give fewer levels '
            f'(--config.data.binarize=threshold){image_advice(spec, pairs, MAX_PAIRS)}'
        )


def chow_liu(parts: ChowLiuParts) -> Family:
    """Returns the family of one player, `model`, fitted in one step to the whole training split."""
    check(parts)
    estimator, spec = estimator_of(parts), parts.spec

    def init(key, batch):
        del key
        return initial_weights(estimator, pair_counts(flat(batch['x']), spec.levels))

    def nats(weights, batch, rng):
        del rng
        return log_prob(tree_of(weights), flat(batch['x']))

    def sample(weights, rng, condition):
        del condition
        tree = tree_of(weights)
        no_evidence = jnp.zeros((len(rng.rows), *tree.log_probs.shape[:2]))
        return shaped(spec, draw_given(tree, rng.keys, no_evidence))

    def inpaint(weights, batch, rng):
        tree, known = tree_of(weights), batch['known'].astype(bool)
        x = flat(jnp.where(known, batch['x'], 0.0))
        log_evidence = upward_evidence(tree, evidence(x, known.reshape(x.shape), spec.levels))
        return shaped(spec, draw_given(tree, rng.keys, log_evidence))

    return Family(
        init=init,
        turns=(fit_turn(estimator, parts.forgetting),),
        metrics=lambda *arguments: {'log_prob_nats': nats(*arguments)},
        abilities=(
            Sample(sample),
            Inpaint(inpaint),
            LogProb(nats, 'exact'),
            DependenceTree(lambda weights: edges(tree_of(weights))),
            Conditionals(
                order=lambda weights: weights.extra['model']['order'],
                begin=lambda weights, given: jnp.zeros_like(flat(given['x'])),
                step=conditional,
            ),
        ),
    )


def flat(x) -> Levels:
    """Returns x [batch, *event] as integers, [batch, dims]."""
    return x.reshape(len(x), -1).astype(jnp.int32)


def shaped(spec: Spec, x: Levels):
    """The inverse of `flat`."""
    return x.reshape(len(x), *spec.event_shape).astype(jnp.float32)


def tree_of(weights: Weights) -> Tree:
    """Returns the fitted tree in the weights."""
    structure = weights.extra['model']
    return Tree(weights.params['model']['log_probs'], structure['parent'], structure['order'])


def estimator_of(parts: ChowLiuParts) -> Estimator:
    """Returns the estimator, which counts all pairs of levels and fits the tree to the counts."""
    levels = parts.spec.levels

    def statistics(weights, batch):
        x = flat(batch['x'])
        return pair_counts(x, levels), -log_prob(tree_of(weights), x)

    def maximize(stats: Statistics):
        joint = smoothed(stats['pairs'], stats['count'], parts.pseudo_count)
        parent, order = spanning_tree(mutual_information(joint))
        structure = {'parent': parent, 'order': order}
        tables = conditional_tables(joint, parent)
        return {'log_probs': jnp.log(jnp.maximum(tables, TINY))}, structure

    return Estimator(statistics, summed, maximize)


def pair_counts(x: Levels, levels: int) -> Statistics:
    """Returns 'pairs', how often x_i = a and x_j = b, and 'count', the number of examples."""
    one_hot = jax.nn.one_hot(x, levels).reshape(len(x), -1)
    dims = x.shape[1]
    pairs = (one_hot.T @ one_hot).reshape(dims, levels, dims, levels)
    return {'pairs': pairs, 'count': jnp.full((), len(x), pairs.dtype)}


def smoothed(pairs: Pairs, count: Float[Array, ''], pseudo_count: float) -> Pairs:
    """Returns p(x_i = a, x_j = b) with `pseudo_count` more examples, evenly spread.

    For i = j the added examples lie on the diagonal, so that the marginals of all pairs agree.
    """
    dims, levels = pairs.shape[:2]
    is_same = jnp.eye(dims)[:, None, :, None]
    diagonal = jnp.eye(levels)[None, :, None, :] / levels
    even = is_same * diagonal + (1 - is_same) / levels**2
    return (pairs + pseudo_count * even) / (count + pseudo_count)


def marginals(joint: Pairs) -> Float[Array, 'dims levels']:
    """Returns p(x_i = a)."""
    dim, level = jnp.arange(joint.shape[0])[:, None], jnp.arange(joint.shape[1])
    return joint[dim, level, dim, level]


def mutual_information(joint: Pairs) -> Float[Array, 'dims dims']:
    """Returns I(x_i; x_j) = H(x_i) + H(x_j) - H(x_i, x_j), in nats."""
    entropies = entr(marginals(joint)).sum(-1)
    return entropies[:, None] + entropies - entr(joint).sum((1, 3))


def spanning_tree(
    weights: Float[Array, 'dims dims'],
) -> tuple[Int[Array, 'dims'], Int[Array, 'dims']]:
    """Returns (parent, order) of the maximum spanning tree: Prim (1957), starting from `ROOT`."""
    dims = len(weights)

    def grow(carry, _):
        best, nearest, is_in = carry
        new = jnp.argmax(jnp.where(is_in, -jnp.inf, best))
        is_in = is_in.at[new].set(True)
        is_better = (weights[new] > best) & ~is_in
        best, nearest = (
            jnp.where(is_better, weights[new], best),
            jnp.where(is_better, new, nearest),
        )
        return (best, nearest, is_in), new

    best = jnp.full(dims, -jnp.inf).at[ROOT].set(jnp.inf)  # the root comes first
    start = best, jnp.full(dims, ROOT), jnp.zeros(dims, bool)
    (_, parent, _), order = jax.lax.scan(grow, start, None, dims)
    return parent.astype(jnp.int32), order.astype(jnp.int32)


def conditional_tables(
    joint: Pairs, parent: Int[Array, 'dims']
) -> Float[Array, 'dims levels levels']:
    """Returns p(x_i = b | x_parent(i) = a), or p(x_i = b) if a never occurs or i is the root."""
    dim, marginal = jnp.arange(len(parent)), marginals(joint)
    pair = joint[parent, :, dim, :]
    of_parent = marginal[parent][..., None]
    unconditional = jnp.broadcast_to(marginal[:, None, :], pair.shape)
    is_given = (of_parent > 0) & (dim != ROOT)[:, None, None]
    return jnp.where(is_given, pair / jnp.maximum(of_parent, TINY), unconditional)


def edges(tree: Tree) -> tuple[Int[Array, 'dims'], Float[Array, 'dims']]:
    """Returns the parent of each dimension, and their mutual information in nats under the tree.

        I(x_i; x_parent) = sum_ab p(a) p(b | a) log(p(b | a) / p(b)),

    0 for the root. The marginals p(a) are passed down the tree.
    """
    tables = jnp.exp(tree.log_probs)

    def pass_down(marginal, dim):
        of_parent = marginal[tree.parent[dim]]
        unconditional = tables[dim, 0]  # of the root, whose rows are all the same
        below = jnp.matmul(of_parent, tables[dim], precision='highest')
        return marginal.at[dim].set(jnp.where(dim == ROOT, unconditional, below)), None

    marginal = jax.lax.scan(pass_down, jnp.zeros(tables.shape[:2], tables.dtype), tree.order)[0]
    joint = marginal[tree.parent][..., None] * tables
    log_ratio = tree.log_probs - jnp.log(jnp.maximum(marginal, TINY))[:, None, :]
    nats = jnp.where(joint > 0, joint * log_ratio, 0.0).sum((1, 2))
    return tree.parent, jnp.maximum(nats, 0.0)  # rounding can make 0 negative


def log_prob(tree: Tree, x: Levels) -> Float[Array, 'batch']:
    """Returns log p(x) in nats."""
    dim = jnp.arange(x.shape[1])
    return tree.log_probs[dim, x[:, tree.parent], x].sum(-1)


def conditional(weights, x: Levels, i: Int[Array, ''], before: Float[Array, 'batch']):
    """Returns (x so far, log p(level | parent's level) [batch, levels]) of dimension order[i]."""
    tree = tree_of(weights)
    previous, dim = tree.order[jnp.maximum(i - 1, 0)], tree.order[i]
    x = x.at[:, previous].set(jnp.where(i > 0, before.astype(x.dtype), x[:, previous]))
    return x, tree.log_probs[dim][x[:, tree.parent[dim]]]


def evidence(
    x: Levels, known: Bool[Array, 'batch dims'], levels: int
) -> Float[Array, 'batch dims levels']:
    """Returns 0 for the levels that a dimension can have, -inf for the others."""
    is_possible = ~known[..., None] | (x[..., None] == jnp.arange(levels))
    return jnp.where(is_possible, 0.0, -jnp.inf)


def upward_evidence(
    tree: Tree, log_evidence: Float[Array, 'batch dims levels']
) -> Float[Array, 'batch dims levels']:
    """Returns log p(evidence at or below i | x_i), [batch, i, level]: Pearl (1988), section 4.2."""

    def pass_up(log_evidence, dim):
        of_parent = tree.log_probs[dim] + log_evidence[:, dim][:, None, :]
        message = jax.nn.logsumexp(of_parent, -1)
        message = jnp.where(dim == ROOT, 0.0, message)
        return log_evidence.at[:, tree.parent[dim]].add(message), None

    return jax.lax.scan(pass_up, log_evidence, tree.order, reverse=True)[0]


def draw_given(
    tree: Tree, keys: UInt32[Array, 'batch 2'], log_evidence: Float[Array, 'batch dims levels']
) -> Levels:
    """Draws x given the upward evidence, parents first."""

    def draw(x, dim):
        logits = tree.log_probs[dim][x[:, tree.parent[dim]]] + log_evidence[:, dim]
        level = jax.vmap(jax.random.categorical)(fold_in(keys, dim), logits)
        return x.at[:, dim].set(level.astype(x.dtype)), None

    start = jnp.zeros(log_evidence.shape[:2], jnp.int32)
    return jax.lax.scan(draw, start, tree.order)[0]
