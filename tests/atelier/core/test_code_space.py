"""Codes of a parent as data: rounding to tokens, and positions of a map that are known."""

import jax.numpy as jnp
import numpy as np
import pytest

from atelier.core.code_space import known_positions, nearest_tokens


def test_values_are_rounded_to_tokens_and_clipped_to_the_codebook():
    x = jnp.array([-3.0, -0.4, 0.4, 0.6, 1.4, 3.6, 4.4, 99.0, np.inf, -np.inf])
    tokens = nearest_tokens(x, 5)
    assert tokens.dtype == jnp.int32
    np.testing.assert_array_equal(tokens, [0, 0, 0, 1, 1, 4, 4, 4, 4, 0])


def by_hand(known, positions):
    """A position is known if all pixels that belong to it are: a loop over the pixels."""
    expected = np.ones((len(known), *positions))
    height, width = known.shape[1:3]
    for i, j in np.ndindex(height, width):
        row, column = i * positions[0] // height, j * positions[1] // width
        expected[:, row, column] *= known[:, i, j].reshape(len(known), -1).all(1)
    return expected


@pytest.mark.parametrize(
    ('event', 'positions'),
    [
        ((4, 4, 1), (2, 2)),
        ((5, 7, 1), (2, 3)),  # blocks of 3 and 2 rows, and of 3, 2 and 2 columns
        ((28, 28, 3), (3, 5)),
        ((3, 3, 1), (3, 3)),
        ((2, 3), (1, 2)),
    ],
)
def test_a_position_is_known_if_its_whole_block_is(event, positions):
    """Also if the sides do not divide: every pixel belongs to one position."""
    random = np.random.default_rng(0)
    hidden = random.random((9, *event)) < 1 / np.prod(event)
    known = ~hidden
    known[0], known[1] = True, False
    result = np.asarray(known_positions(jnp.asarray(known.reshape(9, *event)), positions))
    np.testing.assert_array_equal(result, by_hand(known, positions))
    assert result[0].all() and not result[1].any()
    assert 0 < result[2:].mean() < 1


def test_each_hidden_pixel_hides_one_position():
    """Of 5 rows in 2 blocks, the first has 3: floor(2 i / 5) is 0, 0, 0, 1, 1."""
    for i in range(5):
        known = jnp.ones((1, 5, 1, 1), bool).at[0, i].set(False)
        hidden = np.flatnonzero(known_positions(known, (2, 1)) == 0)
        assert hidden.tolist() == [0 if i < 3 else 1]
