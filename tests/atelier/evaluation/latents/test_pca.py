"""Principal components against scikit-learn, by both algorithms."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from atelier.evaluation.latents import pca as components
from atelier.evaluation.latents.pca import principal_components


def rows(n, dims, seed=0):
    random = np.random.RandomState(seed)
    return random.normal(size=(n, dims)) @ np.diag(1 + np.arange(dims) % 7) + random.normal(
        size=dims
    )


@pytest.mark.parametrize(('n', 'dims'), [(50, 6), (5, 9)])
def test_components_equal_scikit_learns(n, dims):
    x = rows(n, dims)
    basis, count = principal_components(x), min(n - 1, dims)
    pca = PCA(count).fit(x)
    np.testing.assert_allclose(basis.origin, pca.mean_, atol=1e-12)
    np.testing.assert_allclose(basis.shares[:count], pca.explained_variance_ratio_)
    np.testing.assert_allclose(np.abs(basis.axes[:count]), np.abs(pca.components_), atol=1e-7)
    assert np.all(basis.axes[range(count), np.abs(basis.axes[:count]).argmax(1)] > 0)
    reconstructions = basis.rotate_back(basis.rotate(x)[:, :3])
    reference = PCA(3).fit(x)
    np.testing.assert_allclose(
        reconstructions, reference.inverse_transform(reference.transform(x)), atol=1e-7
    )


def test_blocks_and_float32_make_no_difference(monkeypatch):
    x = rows(40, 5).astype(np.float32)
    whole = principal_components(x.astype(np.float64))
    monkeypatch.setattr(components, 'BLOCK', 35)
    parts = principal_components(x)
    np.testing.assert_allclose(parts.axes, whole.axes, atol=1e-9)
    np.testing.assert_allclose(parts.shares, whole.shares, atol=1e-12)


def test_with_many_dimensions_components_are_fitted_to_the_first_rows(monkeypatch):
    x = rows(30, 12)
    monkeypatch.setattr(components, 'MAX_DIMS', 8)
    basis = principal_components(x)
    np.testing.assert_allclose(basis.axes[:7], principal_components(x[:8]).axes[:7], atol=1e-9)
    np.testing.assert_allclose(basis.origin, x[:8].mean(0))


def test_constant_rows_give_their_mean_and_zero_variance():
    basis = principal_components(np.full((4, 2), 3.0))
    np.testing.assert_array_equal(basis.origin, [3, 3])
    np.testing.assert_array_equal(basis.shares, [0, 0])
    np.testing.assert_allclose(basis.axes @ basis.axes.T, np.eye(2))
