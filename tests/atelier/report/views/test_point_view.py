"""Contours of a density in the plane."""

import numpy as np

from atelier.report.views import point_view


def test_contours_enclose_the_smallest_regions_with_their_mass():
    """Of a Gaussian in the plane, the region with mass m has density (1 - m) p(0) at its border."""
    x = np.linspace(-6, 6, 601)
    p = np.exp(-0.5 * (x**2 + x[:, None] ** 2)) / (2 * np.pi)
    levels = point_view.mass_levels(p)
    expected = [(1 - mass) / (2 * np.pi) for mass in point_view.MASSES]
    np.testing.assert_allclose(levels, expected, rtol=0.01)
