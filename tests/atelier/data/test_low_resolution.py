"""Block means by hand and as a projection; bicubic upsampling by its kernel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from atelier.data.low_resolution import enlarged, reduced


def images(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_the_mean_of_each_block():
    x = np.float32([[1, 3, 0, 0], [5, 7, 0, 8], [1, 1, 2, 2], [1, 1, 4, 4]])
    for array in (x[None], jnp.asarray(x)[None], x[None, :, :, None]):
        low = reduced(array, 2)
        np.testing.assert_array_equal(np.reshape(low, (2, 2)), [[4, 2], [1, 3]])
    assert isinstance(reduced(x[None], 2), np.ndarray)
    np.testing.assert_array_equal(jax.jit(reduced, static_argnums=1)(x[None], 4), [[[2.5]]])


def test_channels_and_examples_are_not_mixed():
    x = images(3, 4, 6, 2)
    low = reduced(x, 2)
    assert low.shape == (3, 2, 3, 2)
    np.testing.assert_allclose(low[1, 1, 2, 0], x[1, 2:4, 4:6, 0].mean(), rtol=1e-5)


@pytest.mark.parametrize(('shape', 'factor'), [((2, 6, 9), 3), ((2, 4, 8, 3), 4)])
def test_repeating_is_its_adjoint_and_its_inverse(shape, factor):
    """The adjoint up to factor^2: enlarging after reducing projects onto block-constant images."""
    x = jnp.asarray(images(*shape))
    low, pull_back = jax.vjp(lambda x: reduced(x, factor), x)
    other = jnp.asarray(images(*low.shape))
    high = enlarged(other, factor, 'nearest')
    np.testing.assert_allclose(pull_back(other)[0], high / factor**2, rtol=1e-6)
    np.testing.assert_allclose(reduced(high, factor), other, rtol=1e-6)
    block = np.repeat(np.repeat(np.asarray(other), factor, 1), factor, 2)
    np.testing.assert_array_equal(high, block)


def test_bicubic_is_cubic_convolution():
    """Interpolates at 1/4 between two pixels with Keys's kernel, a = -1/2, away from the border."""
    near = lambda d: 1.5 * d**3 - 2.5 * d**2 + 1
    far = lambda d: -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
    weights = np.array([far(1.25), near(0.25), near(0.75), far(1.75)])
    low = images(1, 8, 8)
    high = jax.jit(lambda low: enlarged(low, 2))(low)
    expected = weights @ low[0, 2:6, 2:6] @ weights
    # (7, 7) of high is at 3 + 1/4 in low's pixels, from 0
    np.testing.assert_allclose(high[0, 7, 7], expected, rtol=1e-4)
    np.testing.assert_allclose(enlarged(np.ones((1, 8, 8), np.float32), 2), 1.0, rtol=1e-6)


def test_sides_that_the_factor_does_not_divide_are_refused():
    with pytest.raises(ValueError, match='3 does not divide 4x6'):
        reduced(images(1, 4, 6), 3)
