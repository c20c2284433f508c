"""MSE, PSNR and SSIM against closed forms and explicit sums over all windows."""

import numpy as np
import pytest

from atelier.data.dataset import Spec
from atelier.evaluation.examples import image_quality
from atelier.evaluation.examples.image_quality import half_squared_error, psnr, ssim

LEVELS = Spec((2, 3, 1), 17, None)
TABLE = Spec((2,), None, None, mean=(1.0, -2.0), std=(2.0, 0.5))


def images(*shape, seed=0):
    return np.random.RandomState(seed).uniform(0, 255, shape)


def by_windows(x, y, size, value_range):
    """Returns SSIM of one channel, by loops over weighted moments of every window."""
    at = np.arange(size) - (size - 1) / 2
    weights = np.exp(-(at[:, None] ** 2 + at**2) / (2 * 1.5**2))
    weights /= weights.sum()
    c1, c2 = (0.01 * value_range) ** 2, (0.03 * value_range) ** 2
    ssims = []
    for i in range(x.shape[0] - size + 1):
        for j in range(x.shape[1] - size + 1):
            a, b = x[i : i + size, j : j + size], y[i : i + size, j : j + size]
            m_a, m_b = np.sum(weights * a), np.sum(weights * b)
            v_a, v_b = np.sum(weights * (a - m_a) ** 2), np.sum(weights * (b - m_b) ** 2)
            both = np.sum(weights * (a - m_a) * (b - m_b))
            luminance = (2 * m_a * m_b + c1) / (m_a**2 + m_b**2 + c1)
            ssims.append(luminance * (2 * both + c2) / (v_a + v_b + c2))
    return np.mean(ssims)


@pytest.mark.parametrize(
    ('height', 'width', 'size'), [(14, 12, 11), (11, 11, 11), (8, 9, 7), (30, 4, 3), (1, 5, 1)]
)
def test_ssim_is_the_mean_over_windows(height, width, size):
    x, y = images(3, height, width, 2), images(3, height, width, 2, seed=1)
    y = 0.5 * (x + y)
    expected = [
        np.mean([by_windows(a[..., c], b[..., c], size, 255) for c in (0, 1)])
        for a, b in zip(x, y, strict=True)
    ]
    np.testing.assert_allclose(ssim(x, y, 255.0), expected, rtol=1e-9)


def test_ssim_of_an_image_with_itself_is_one():
    x = images(4, 28, 28, 1)
    np.testing.assert_allclose(ssim(x, x, 255.0), 1, rtol=1e-12)


def test_flat_images_differ_in_luminance_alone():
    """SSIM of constants a and b is (2 a b + C1) / (a^2 + b^2 + C1)."""
    a, b, c1 = 0.25, 0.75, 0.01**2
    x, y = np.full((1, 16, 16, 1), a), np.full((1, 16, 16, 1), b)
    np.testing.assert_allclose(ssim(x, y, 1.0), (2 * a * b + c1) / (a**2 + b**2 + c1), rtol=1e-9)


def test_a_change_of_contrast_alone():
    """y = m + s (x - m) on one window with weighted mean m.

    The means agree; the variances are v and s^2 v, the covariance is s v.
    """
    x = images(1, 11, 11, 1)
    window = np.exp(-0.5 * ((np.arange(11) - 5) / 1.5) ** 2)
    weights = np.outer(window, window) / window.sum() ** 2
    mean = np.sum(weights * x[0, ..., 0])
    v, s, c2 = np.sum(weights * (x[0, ..., 0] - mean) ** 2), 0.4, (0.03 * 255) ** 2
    similarity = ssim(x, mean + s * (x - mean), 255.0)
    np.testing.assert_allclose(similarity, (2 * s * v + c2) / (v + s**2 * v + c2), rtol=1e-9)


def test_images_in_chunks_have_the_same_ssim(monkeypatch):
    x, y = images(7, 12, 12, 1), images(7, 12, 12, 1, seed=1)
    whole = ssim(x, y, 255.0)
    monkeypatch.setattr(image_quality, 'CHUNK', 300)
    np.testing.assert_array_equal(ssim(x, y, 255.0), whole)


def test_psnr_of_known_errors():
    x = images(3, 4, 5, 3)
    shift = np.array([1.0, 25.5, 255.0]).reshape(3, 1, 1, 1)
    np.testing.assert_allclose(psnr(x, x + shift, 255.0), [48.1308, 20, 0], atol=1e-4)
    half = np.where(np.arange(4) < 2, 0.1, 0.0)  # an error in half of the values: half the MSE
    np.testing.assert_allclose(psnr(np.zeros((1, 4)), half[None], 1.0), 20 + 10 * np.log10(2))
    assert psnr(x, x, 255.0).tolist() == [np.inf] * 3


def test_error_on_the_normalized_scale():
    x = np.full((2, 2, 3, 1), 3, np.uint8)
    y = x + np.array([8.0, -4.0]).reshape(2, 1, 1, 1)
    np.testing.assert_allclose(half_squared_error(x, y, LEVELS), [0.5 * 6 / 4, 0.5 * 6 / 16])
    table = np.array([[0.0, 0.0]]), np.array([[4.0, 1.0]])
    np.testing.assert_allclose(half_squared_error(*table, TABLE), [0.5 * (2**2 + 2**2)])


def test_different_shapes_are_refused():
    x, y = images(2, 12, 12, 1), images(1, 12, 12, 1)
    for measure in (psnr, ssim):
        with pytest.raises(ValueError, match='same shape'):
            measure(x, y, 1.0)
    with pytest.raises(ValueError, match='same shape'):
        half_squared_error(x, y, LEVELS)
