"""The Chow-Liu tree against enumeration, scipy's spanning trees and manual counts."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse.csgraph
from support import assembled

from atelier.core.abilities import Inpaint, LogProb, Sample
from atelier.core.randomness import rng_for
from atelier.data.dataset import Spec
from configs import chow_liu as config_lib
from models.classical import chow_liu_tree as tree_lib
from models.classical.chow_liu_tree import ChowLiuParts, chow_liu


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def rng_of(n):
    return rng_for(jax.random.PRNGKey(0), jnp.arange(n), n)


def chains(levels, n=400, dims=5, seed=0):
    """Rows of a Markov chain that copies the previous dimension or draws anew; columns permuted."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, levels, (n, dims))
    for i in range(1, dims):
        x[:, i] = np.where(rng.random(n) < 0.7, x[:, i - 1], x[:, i])
    return x[:, [2, 0, 4, 1, 3]]


def fitted(x, levels, pseudo_count=1.0):
    spec = Spec(x.shape[1:], levels, None)
    family = chow_liu(ChowLiuParts(spec, pseudo_count, 1.0))
    weights = jax.jit(family.init)(jax.random.PRNGKey(0), {'x': jnp.asarray(x, float)})
    return family, weights


def all_rows(levels, dims=5):
    return np.array([*itertools.product(range(levels), repeat=dims)], float)


@pytest.mark.parametrize('levels', [2, 3])
@pytest.mark.parametrize('pseudo_count', [0.0, 1.0])
def test_probabilities_sum_to_one(levels, pseudo_count):
    family, weights = fitted(chains(levels), levels, pseudo_count)
    x = all_rows(levels)
    nats = jax.jit(family.ability(LogProb).nats)(weights, {'x': jnp.asarray(x)}, rng_of(len(x)))
    np.testing.assert_allclose(np.exp(nats).sum(), 1.0, rtol=1e-12)


def test_unseen_levels_keep_log_prob_finite():
    """Without pseudo-counts, children of an unseen level follow their marginal distribution."""
    x = chains(2)
    x[:, 1] = 0
    family, weights = fitted(x, 2, 0.0)
    nats = jax.jit(family.ability(LogProb).nats)(
        weights, {'x': jnp.asarray(all_rows(2))}, rng_of(32)
    )
    assert np.isfinite(nats).all()
    np.testing.assert_allclose(np.exp(nats).sum(), 1.0, rtol=1e-12)


@pytest.mark.parametrize('levels', [2, pytest.param(4, marks=pytest.mark.slow)])
def test_tree_is_the_likeliest_of_all(levels):
    """The tree has the highest likelihood of all 125 trees on five dimensions."""
    x = chains(levels)
    family, weights = fitted(x, levels, 0.0)
    log_prob = jax.jit(family.ability(LogProb).nats)(
        weights, {'x': jnp.asarray(x, float)}, rng_of(400)
    ).mean()
    counts = tree_lib.pair_counts(jnp.asarray(x), levels)
    joint = tree_lib.smoothed(counts['pairs'], counts['count'], 0.0)
    information = np.asarray(tree_lib.mutual_information(joint))
    marginals = np.asarray(tree_lib.marginals(joint))
    entropy = -(marginals * np.log(np.maximum(marginals, 1e-300))).sum()
    nats = [sum(information[i, j] for i, j in edges) - entropy for edges in trees(5)]
    assert len({frozenset(map(frozenset, edges)) for edges in trees(5)}) == 125
    assert log_prob == pytest.approx(max(nats), abs=1e-12)


def trees(dims):
    """Yields the edges of each labelled tree on `dims` nodes, from Pruefer sequences."""
    for sequence in itertools.product(range(dims), repeat=dims - 2):
        degree = np.bincount(sequence, minlength=dims) + 1
        edges = []
        for node in sequence:
            leaf = int(np.argmax(degree == 1))
            edges.append((leaf, node))
            degree[[leaf, node]] -= 1
        edges.append(tuple(map(int, np.flatnonzero(degree == 1))))
        yield edges


def test_spanning_tree_is_scipy_s():
    rng = np.random.default_rng(0)
    for dims in (1, 2, 9, 40):
        weights = rng.random((dims, dims)) + 0.1
        weights += weights.T
        parent, order = map(np.asarray, tree_lib.spanning_tree(jnp.asarray(weights)))
        assert sorted(order) == list(range(dims)) and order[0] == parent[0] == 0
        position = np.argsort(order)
        assert (position[parent[1:]] < position[1:]).all()
        total = weights[np.arange(1, dims), parent[1:]].sum()
        scipy_total = -scipy.sparse.csgraph.minimum_spanning_tree(-weights).sum()
        assert total == pytest.approx(scipy_total)


def test_conditionals_are_counted():
    x = chains(3)
    _, weights = fitted(x, 3, 2.0)
    tree = tree_lib.tree_of(weights)
    for i, parent in enumerate(np.asarray(tree.parent)[1:], 1):
        for parent_level, level in itertools.product(range(3), repeat=2):
            joint_count = ((x[:, parent] == parent_level) & (x[:, i] == level)).sum() + 2 / 9
            expected = joint_count / ((x[:, parent] == parent_level).sum() + 2 / 3)
            assert np.exp(tree.log_probs[i, parent_level, level]) == pytest.approx(
                expected, rel=1e-12
            )


@pytest.mark.parametrize('num_known', [0, 2])
def test_samples_and_completions_have_their_probabilities(num_known):
    """With nothing known, and with two dimensions in the middle of the tree known."""
    family, weights = fitted(chains(2), 2)
    n, start = 20_000, jnp.asarray([1.0, 0.0, 1.0, 1.0, 0.0])
    known = np.isin(np.arange(5), [1, 3][:num_known])
    if num_known:
        x = jnp.broadcast_to(jnp.where(known, start, jnp.nan), (n, 5))
        batch = {'x': x, 'known': jnp.broadcast_to(jnp.asarray(known), (n, 5))}
        samples = np.asarray(jax.jit(family.ability(Inpaint).fill)(weights, batch, rng_of(n)))
    else:
        samples = np.asarray(
            jax.jit(lambda w: family.ability(Sample).draw(w, rng_of(n), None))(weights)
        )
    assert (samples[:, known] == np.asarray(start)[known]).all()
    x = all_rows(2)
    x = x[(x[:, known] == np.asarray(start)[known]).all(1)]
    probabilities = np.exp(
        jax.jit(family.ability(LogProb).nats)(weights, {'x': jnp.asarray(x)}, rng_of(len(x)))
    )
    probabilities /= probabilities.sum()
    shares = [(samples == row).all(1).mean() for row in x]
    np.testing.assert_allclose(shares, probabilities, atol=4 * np.sqrt(0.25 / n))


@pytest.mark.parametrize(
    ('argument', 'change', 'message'),
    [
        ('grid,debug', {}, 'a tree needs discrete levels'),
        ('digits,debug', dict(model__pseudo_count=-1.0), 'config.model.pseudo_count=-1.0'),
        ('digits,debug', dict(model__forgetting=1.5), 'from 0 to 1'),
    ],
)
def test_bad_settings_end_in_one_line(tmp_path, complaint, argument, change, message):
    assert message in complaint(assembled, tmp_path, 'chow_liu', argument, **change)


def test_too_many_pairs_end_in_one_line(complaint):
    spec = Spec((28, 28, 1), 256, None)
    assert 'pairs to count' in complaint(config_lib.build, config_lib.get_config(), spec)
