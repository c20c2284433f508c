"""Similarity of pairs of examples: squared error, PSNR, SSIM; one float64 value per pair."""

import numpy as np
from jaxtyping import Bool, Float, Real

from atelier.data.dataset import Spec

# side and standard deviation, in pixels, of the Gaussian window (Wang et al. 2004, section III-B)
WINDOW, WINDOW_STD = 11, 1.5
K1, K2 = 0.01, 0.03
CHUNK = 2**20  # values processed at once; affects memory only

Examples = Real[np.ndarray, 'n *event']
OtherExamples = Real[np.ndarray, 'm *other']
Images = Real[np.ndarray, 'n height width channels']
OtherImages = Real[np.ndarray, 'm other_height other_width other_channels']


def half_squared_error(x: Examples, y: OtherExamples, spec: Spec) -> Float[np.ndarray, 'n']:
    """Returns 1/2 ||x - y||^2 on the normalized scale of `spec`, for x and y in the data's units.

    Raises:
      ValueError: x and y differ in shape.
    """
    _check_same_shape(x, y)
    _, scale = spec.affine(x.shape[1:])
    difference = (np.asarray(x, np.float64) - y) / np.asarray(scale, np.float64)
    return 0.5 * np.sum(np.reshape(difference**2, (len(x), -1)), 1)


def psnr(
    x: Examples,
    y: OtherExamples,
    value_range: float,
    where: Bool[np.ndarray, 'n *event'] | None = None,
) -> Float[np.ndarray, 'n']:
    """Returns 10 log10(value_range^2 / MSE) of each example, in dB; infinite if x equals y.

    `value_range` is the largest minus the smallest value that x can take. The mean squared error is
    over all values of an example, or only over those where `where` is true; every example must have
    at least one such value.

    Raises:
      ValueError: x and y differ in shape.
    """
    _check_same_shape(x, y)
    squares = np.reshape((np.asarray(x, np.float64) - y) ** 2, (len(x), -1))
    mask = np.ones(squares.shape, bool) if where is None else where.reshape(squares.shape)
    with np.errstate(divide='ignore'):
        return 10 * np.log10(value_range**2 / squares.mean(1, where=mask))


def ssim(x: Images, y: OtherImages, value_range: float) -> Float[np.ndarray, 'n']:
    """Returns the SSIM of each pair of images, at most 1 (Wang et al. 2004, equation 13).

        (2 m_x m_y + C1) (2 c_xy + C2) / ((m_x^2 + m_y^2 + C1) (v_x + v_y + C2))

    with means m, variances v and covariance c under an 11x11 Gaussian window of standard deviation
    1.5, and C = (K value_range)^2 for K1 = 0.01 and K2 = 0.03. SSIM is its mean over channels and
    all positions where the window lies inside the image. For images smaller than the window, the
    Gaussian is truncated to the largest odd window that fits.

    Raises:
      ValueError: x and y differ in shape.
    """
    _check_same_shape(x, y)
    step = max(1, CHUNK // max(1, x[0].size))
    parts = [slice(first, first + step) for first in range(0, len(x), step)]
    return np.concatenate([_ssim(x[part], y[part], value_range) for part in parts])


def _ssim(x: Images, y: Images, value_range: float) -> Float[np.ndarray, 'n']:
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    size = min(WINDOW, *x.shape[1:3])
    size -= 1 - size % 2
    down, across = (_window_matrix(length, size) for length in x.shape[1:3])
    local = lambda a: np.moveaxis(down @ np.moveaxis(a, -1, 1) @ across.T, 1, -1)
    mean_x, mean_y = local(x), local(y)
    variances = local(x * x) - mean_x**2 + local(y * y) - mean_y**2
    covariance = local(x * y) - mean_x * mean_y
    c1, c2 = (K1 * value_range) ** 2, (K2 * value_range) ** 2
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    similarity /= (mean_x**2 + mean_y**2 + c1) * (variances + c2)
    return similarity.mean((1, 2, 3))


def _window_matrix(length: int, size: int) -> Float[np.ndarray, 'positions length']:
    """Returns a matrix whose row i weights pixels i to i + size - 1 by the normalized window."""
    window = np.exp(-0.5 * ((np.arange(size) - (size - 1) / 2) / WINDOW_STD) ** 2)
    matrix = np.zeros((length - size + 1, length))
    for position, row in enumerate(matrix):
        row[position : position + size] = window / window.sum()
    return matrix


def _check_same_shape(x: np.ndarray, y: np.ndarray) -> None:
    if x.shape != y.shape:
        raise ValueError(f'x and y have to be of the same shape: {x.shape} and {y.shape}')
