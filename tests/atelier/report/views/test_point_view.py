"""Contours of a density in the plane, and figures with many classes."""

import numpy as np
import pytest

from atelier.data.spec import Spec
from atelier.report.views import point_view
from atelier.report.views.view import DATA, Density


def test_contours_enclose_the_smallest_regions_with_their_mass():
    """Of a Gaussian in the plane, the region with mass m has density (1 - m) p(0) at its border."""
    x = np.linspace(-6, 6, 601)
    p = np.exp(-0.5 * (x**2 + x[:, None] ** 2)) / (2 * np.pi)
    levels = point_view.mass_levels(p)
    expected = [(1 - mass) / (2 * np.pi) for mass in point_view.MASSES]
    np.testing.assert_allclose(levels, expected, rtol=0.01)


@pytest.mark.parametrize('height', [0.6, 1.0])
def test_the_classes_of_points_have_place_below_the_panels(height):
    """The texts fit the figure, which is checked whenever one is drawn."""
    random, grid = np.random.RandomState(0), np.linspace(-3, 3, 9)
    x = random.normal(size=(200, 2)) * [1, height]
    density = Density((grid, height * grid), np.exp(-(grid**2) - grid[:, None] ** 2), 'exact')
    names = tuple(f'class {i} with a long name' for i in range(10))
    spec, label = Spec((2,), None, 10, class_names=names), np.arange(200) % 10
    labels = {DATA: label, 'samples': label}
    picture = point_view.samples({DATA: x, 'samples': x}, spec, 'title', labels, density)
    assert picture.shape[1] <= 1200
