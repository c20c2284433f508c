"""The bounds of items in packed rows: those of a plain loop, from earlier tokens alone."""

import jax
import jax.numpy as jnp
import numpy as np

from atelier.data import items as data_items
from models.nets.packed_rows import bounds


def bounds_by_loop(row):
    """(begins, positions, segments) of one row, token by token."""
    begins, positions, segments = [], [], []
    for i in range(len(row)):
        is_first = i == 0 or row[i - 1] == 0
        begins.append(is_first)
        positions.append(0 if is_first else positions[-1] + 1)
        segments.append(sum(begins))
    return begins, positions, segments


def test_bounds_of_an_example():
    begins, positions, segments = bounds(jnp.asarray([[2, 1, 0, 1, 0, 0, 0]]))
    assert begins.tolist() == [[True, False, False, True, False, True, True]]
    assert positions.tolist() == [[0, 1, 2, 0, 1, 0, 0]]
    assert segments.tolist() == [[1, 1, 1, 2, 2, 3, 4]]


def test_bounds_are_those_of_a_loop():
    x = np.random.default_rng(0).integers(0, 3, (20, 30))
    for kind in (np.int32, np.float32):
        of_rows = jax.jit(bounds)(jnp.asarray(x.astype(kind)))
        expected = [np.stack(arrays) for arrays in zip(*map(bounds_by_loop, x), strict=True)]
        for array, loop in zip(of_rows, expected, strict=True):
            np.testing.assert_array_equal(array, loop)


def test_a_token_changes_later_bounds_alone():
    x = jnp.asarray([[1, 2, 1, 1, 2, 1]])
    before = np.stack([np.asarray(a, int) for a in bounds(x)])
    for index in range(6):
        changed = np.stack([np.asarray(a, int) for a in bounds(x.at[0, index].set(0))])
        assert not (changed != before)[:, 0, : index + 1].any()


def test_items_begin_at_scored_places_that_begin():
    """The places that are scored are those of `atelier.data.items`, which reads the token too."""
    x = np.random.default_rng(1).integers(0, 3, (20, 30))
    scored = data_items.is_scored(x)
    begins = np.asarray(bounds(jnp.asarray(x)).begins)
    np.testing.assert_array_equal(scored, ~(begins & (x == data_items.END_TOKEN)))
    assert (begins & scored).sum() == len(data_items.unpacked(x, '\0ab'))
