"""Conversion between images and grids of square patches."""

import jax.numpy as jnp
import numpy as np
import pytest

from models.nets.patches import from_patches, to_patches


@pytest.mark.parametrize('patch', [1, 2, 3])
@pytest.mark.parametrize('shape', [(6, 4, 3), (5, 7, 1), (7, 2), (1,)])
def test_patches_are_squares_and_convert_back(shape, patch):
    *space, channels = shape
    maps = jnp.arange(2.0 * np.prod(shape)).reshape(2, *shape)
    patches = to_patches(maps, patch)
    counts = [-(-n // patch) for n in space]
    assert patches.shape == (2, *counts, patch ** len(space) * channels)
    np.testing.assert_array_equal(from_patches(patches, tuple(space), patch), maps)


def test_a_patch_is_the_square_at_its_position():
    maps = jnp.arange(2.0 * 6 * 4 * 3).reshape(2, 6, 4, 3)
    square = np.asarray(maps[:, 4:6, 2:4]).reshape(2, -1)
    np.testing.assert_array_equal(to_patches(maps, 2)[:, 2, 1], square)


def test_incomplete_patches_are_padded_with_zeros():
    patches = to_patches(jnp.ones((1, 5, 7, 1)), 2)
    np.testing.assert_array_equal(patches[0, 2, 3], [1, 0, 0, 0])
    np.testing.assert_array_equal(patches[0, 2, 0], [1, 1, 0, 0])
