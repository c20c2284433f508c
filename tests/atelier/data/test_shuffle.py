"""The shuffle: every example exactly once per epoch, for all sizes and device counts."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.data import shuffle

pytestmark = pytest.mark.usefixtures('strict_promotion')

KEY = jax.random.PRNGKey(3)


PADDED = 4096  # one shape, so that all sizes share one compilation


def permutation(n, epoch, key=KEY):
    """Returns the first n entries; positions are repeated up to one padded shape."""
    positions = np.arange(PADDED) % n
    return np.asarray(shuffle.shuffle(key, np.uint32(epoch), positions, n))[:n]


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, PADDED), epoch=st.integers(0, 2**32 - 1), seed=st.integers(0, 1000))
def test_every_epoch_is_a_permutation(n, epoch, seed):
    order = permutation(n, epoch, jax.random.PRNGKey(seed))
    np.testing.assert_array_equal(np.sort(order), np.arange(n))


@pytest.mark.slow
@settings(max_examples=6, deadline=None)
@given(n=st.integers(8, 60), batch=st.integers(1, 7), devices=st.sampled_from([1, 2, 4, 8]))
def test_minibatches_walk_through_the_epochs(n, batch, devices):
    """Minibatches straddle epochs; each epoch has every example once, on any number of devices."""
    batch = min(batch * devices, n // devices * devices)
    local, epochs = batch // devices, 3

    @jax.jit
    def on_device(step, device):
        rows = device * local + jnp.arange(local)
        return shuffle.minibatch_indices(KEY, step, rows, batch, n)

    steps = jnp.arange(-(-n * epochs // batch))
    each = jax.vmap(jax.vmap(on_device, (None, 0)), (0, None))(steps, jnp.arange(devices))
    walk = np.asarray(each).reshape(-1)
    for epoch in range(epochs):
        epoch_indices = walk[epoch * n : (epoch + 1) * n]
        np.testing.assert_array_equal(epoch_indices, permutation(n, epoch))
        np.testing.assert_array_equal(np.sort(epoch_indices), np.arange(n))


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(2**16, 2**31 - 1),
    batch=st.sampled_from([1, 2, 100, 128, 4095, 2**16]),
    step=st.integers(0, 2**32 - 1),
)
def test_positions_do_not_overflow(n, batch, step):
    """Equals Python's integer arithmetic, for runs and data sets far beyond 2**32 positions."""
    rows = np.array([0, batch // 2, batch - 1])
    positions = [step * batch + int(row) for row in rows]
    epochs = np.array([position // n % 2**32 for position in positions], np.uint32)
    expected = shuffle.shuffle(KEY, epochs, np.array([p % n for p in positions]), n)
    indices = shuffle.minibatch_indices(KEY, np.uint32(step), jnp.asarray(rows), batch, n)
    np.testing.assert_array_equal(indices, expected)
    assert np.all((np.asarray(indices) >= 0) & (np.asarray(indices) < n))


def test_small_permutations_are_equally_likely():
    """Chi-square test over the 24 orders of 4 examples in 24,000 epochs, 23 degrees of freedom."""
    count = 24_000
    orders = jax.vmap(lambda epoch: shuffle.shuffle(KEY, epoch, jnp.arange(4), 4))
    order_counts = collections.Counter(map(tuple, np.asarray(orders(jnp.arange(count)))))
    statistic = sum((times - count / 24) ** 2 / (count / 24) for times in order_counts.values())
    assert len(order_counts) == 24
    assert 8 < statistic < 50  # the 0.2 % and 99.9 % points are 8.2 and 49.7


def test_orders_of_two_epochs_and_of_two_seeds_are_unrelated():
    n = 1000
    first = np.asarray(shuffle.shuffle(KEY, 0, jnp.arange(n), n))
    for other in (
        shuffle.shuffle(KEY, 1, jnp.arange(n), n),
        shuffle.shuffle(jax.random.PRNGKey(4), 0, jnp.arange(n), n),
        np.arange(n),
    ):
        assert abs(np.corrcoef(first, other)[0, 1]) < 0.13  # four standard errors
        assert np.sum(first == np.asarray(other)) < 8  # Poisson with mean 1


def test_neighbours_do_not_stay_neighbours():
    n = 1000
    order = np.asarray(shuffle.shuffle(KEY, 2, jnp.arange(n), n))
    assert np.sum(np.abs(np.diff(order)) == 1) < 12  # Poisson with mean 2


def test_traced_minibatch_numbers_give_the_same_indices():
    rows = jnp.arange(7)
    plain = [shuffle.minibatch_indices(KEY, m, rows, 7, 10) for m in range(5)]
    traced = jax.vmap(lambda m: shuffle.minibatch_indices(KEY, m, rows, 7, 10))(jnp.arange(5))
    np.testing.assert_array_equal(plain, traced)


@pytest.mark.parametrize(('batch', 'n'), [(0, 10), (11, 10), (1, 2**31)])
def test_sizes_out_of_range_are_refused(batch, n):
    with pytest.raises(ValueError, match='batch_size'):
        shuffle.minibatch_indices(KEY, 0, jnp.arange(1), batch, n)
