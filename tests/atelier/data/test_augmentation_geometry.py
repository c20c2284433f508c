"""Moved pixels, against numpy and scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from augmenting import applied, drawn, keys_of

from atelier.data.augmentation_draws import Draws, Strengths
from atelier.data.augmentation_geometry import moved, resampled, source_positions

ndimage = pytest.importorskip('scipy.ndimage')
X = np.random.default_rng(0).uniform(1, 2, (3, 6, 7, 2)).astype(np.float32)
ALL = Strengths(shift=0.2, rotate=40.0, scale=0.3, crop=0.3, flip=True)
BLACK = (0.0, 0.0)
MODES = {BLACK: 'grid-constant', None: 'mirror'}
close = lambda actual, expected: np.testing.assert_allclose(actual, expected, atol=2e-5)


def positions(n, strengths, shape):
    """The random positions of n examples, [2, n, height, width]."""
    of = jax.jit(lambda keys: jnp.stack(source_positions(Draws(keys), strengths, shape)))
    return np.asarray(of(keys_of(n)))


def by_channel(transform, *arrays):
    """Transforms each channel of each example of the first array, with the others' examples."""
    x, *rest = arrays
    each = [
        [transform(image[..., channel], *more) for channel in range(x.shape[-1])]
        for image, *more in zip(x, *rest, strict=True)
    ]
    return np.moveaxis(np.array(each), 1, -1)


@pytest.mark.parametrize('fill', MODES, ids=MODES.get)
def test_all_transformations_together_are_one_resampling_as_by_scipy(fill):
    """Far outside the picture, too."""
    look_up = lambda image, row, column: ndimage.map_coordinates(
        image, (row, column), order=1, mode=MODES[fill]
    )
    actual = drawn(moved, X, ALL, fill)
    close(actual, by_channel(look_up, X, *positions(3, ALL, X.shape[1:3])))
    assert np.abs(actual - X).mean() > 0.1
    far = np.random.default_rng(1).uniform(-20, 20, (2, *X.shape[:3])).astype(np.float32)
    actual = jax.jit(resampled, static_argnums=3)(X, *far, fill)
    close(actual, by_channel(look_up, X, *far))


@pytest.mark.parametrize('fill', MODES, ids=MODES.get)
@pytest.mark.parametrize('width', [1, 7])
def test_nothing_applied_changes_no_bit(width, fill):
    x = X[:, :, :width]
    for strengths in (ALL, Strengths(shift=1.0, flip=True)):
        np.testing.assert_array_equal(drawn(moved, x, strengths, fill, probability=0.0), x)


def test_a_shift_by_whole_pixels_is_that_of_numpy():
    """Bit for bit: the content moves, and the fill follows."""
    pixels = np.array([[2, 0], [-1, 3], [0, 0]])  # down, right
    number = (pixels + 3 + 0.5) / 7  # of -3 to 3 pixels
    actual = applied(
        moved, X, Strengths(shift=3.0), BLACK, shift_y=number[:, 0], shift_x=number[:, 1]
    )
    for image, result, shift in zip(X, actual, pixels, strict=True):
        padded = np.pad(image, ((3, 3), (3, 3), (0, 0)))
        np.testing.assert_array_equal(result, np.roll(padded, shift, (0, 1))[3:-3, 3:-3])


def test_whole_shifts_are_equally_likely():
    rows, _ = positions(1000, Strengths(shift=2.0), (5, 5))
    values, counts = np.unique(-rows[:, 0, 0], return_counts=True)
    np.testing.assert_array_equal(values, [-2, -1, 0, 1, 2])
    np.testing.assert_allclose(counts / 1000, 0.2, atol=0.04)


def test_a_shift_by_a_fraction_lies_within_it():
    rows, columns = np.abs(positions(1000, Strengths(shift=0.25), (8, 4))[:, :, 0, 0])
    assert 1.9 < rows.max() <= 2 and 0.95 < columns.max() <= 1


def test_a_quarter_turn_is_that_of_numpy():
    x = X[:2, :, :6]
    actual = applied(moved, x, Strengths(rotate=90.0), BLACK, rotate=[1.0, 0.0])
    close(actual, [np.rot90(x[0], 1), np.rot90(x[1], -1)])


@pytest.mark.parametrize('fill', MODES, ids=MODES.get)
def test_scaling_is_that_of_scipy(fill):
    """About the centre; a factor above 1 enlarges the content."""
    actual = applied(moved, X[:2], Strengths(scale=0.5), fill, scale=[1.0, 0.0])
    middle = np.array([2.5, 3.0])
    scaled = lambda image, factor: ndimage.affine_transform(
        image, np.full(2, 1 / factor), middle - middle / factor, order=1, mode=MODES[fill]
    )
    close(actual, by_channel(scaled, X[:2], (1.5, 1 / 1.5)))


def test_a_flip_is_that_of_numpy():
    actual = applied(moved, X, Strengths(flip=True), None, flip=0.4)
    np.testing.assert_array_equal(actual, X[:, :, ::-1])


def test_a_crop_shows_nothing_from_outside():
    """A random window, whose sides are smaller by up to the fraction."""
    both = positions(1000, Strengths(crop=0.5), (9, 9))
    assert both.min() >= 0 and both.max() <= 8
    sides = both.max((2, 3)) - both.min((2, 3))
    assert 4 <= sides.min() < 4.2 and 7.8 < sides.max() <= 8
    starts = both[:, :, 0, 0]
    assert starts.min() < 0.05 and starts.max() > 3


def test_gradients_flow_to_the_pixels_that_are_shown():
    """Bilinear weights: their sum is the share of the output that shows the picture."""

    def total(x, keys):
        return jnp.sum(moved(x, Draws(keys), ALL, BLACK), (1, 2, 3))

    keys = keys_of(3)
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(total(x, keys))))(X)
    assert np.isfinite(gradient).all() and (np.asarray(gradient) >= 0).all()
    ones = jax.jit(total)(np.ones_like(X), keys)
    np.testing.assert_allclose(gradient.sum((1, 2, 3)), ones, rtol=1e-5)
