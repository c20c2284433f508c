"""Contours of a density in the plane, and figures with many classes."""

import numpy as np
import pytest
from figure_checks import check_texts

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


def test_no_path_leaves_its_panel_and_others_outside_are_counted(monkeypatch):
    """Noise far from the data: one of it is a path that is drawn, and one is not."""
    drawn = []
    keep = lambda figure: drawn.append(figure) or np.zeros((1, 1, 3), np.uint8)
    monkeypatch.setattr(point_view.figures, 'pixels', keep)
    random = np.random.RandomState(0)
    data, ends = random.normal(size=(300, 2)), random.normal(size=(200, 2))
    start = 1.2 * random.normal(size=(200, 2))
    start[3], start[150] = [0.0, 6.0], [0.0, -50.0]
    x_t = np.stack([start, (start + ends) / 2, ends], 1)
    spec = Spec((2,), None, None)
    point_view.steps_of_points(x_t, x_t, ['1', '2', '3'], spec, 'From noise to samples', data)
    check_texts(drawn[0])
    *_, paths = axes = drawn[0].axes
    points = x_t[: point_view.FEW_PATHS].reshape(-1, 2)
    for (low, high), values in zip((paths.get_xlim(), paths.get_ylim()), points.T, strict=True):
        assert low <= values.min() and values.max() <= high
    is_inside = [
        (low <= values) & (values <= high)
        for (low, high), values in zip((paths.get_xlim(), paths.get_ylim()), start.T, strict=True)
    ]
    num_outside = np.sum(~(is_inside[0] & is_inside[1]))
    assert num_outside >= 1 and f'({num_outside} outside)' in axes[0].get_title()
    assert 'outside' not in paths.get_title()
