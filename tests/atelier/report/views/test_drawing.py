"""Histograms are densities, with bins that fit the values."""

import numpy as np
import pytest
from figure_checks import text_boxes

from atelier.data.spec import Spec
from atelier.report.views import drawing
from atelier.report.views.choose import view_of
from atelier.report.views.view import DATA


def test_a_histogram_is_a_density():
    """Its area is the share of the values that it shows."""
    from matplotlib.figure import Figure

    x = np.concatenate([np.random.RandomState(0).normal(size=900), np.full(100, 50.0)])
    axis, edges = Figure().subplots(), np.linspace(-6, 6, 25)
    drawing.histogram(axis, [drawing.Part('x', x[:, None], 'C0', 0.5)], edges)
    values, edges, _ = axis.patches[0].get_data()
    assert np.sum(values * np.diff(edges)) == pytest.approx(0.5 * 0.9)
    expected, _ = np.histogram(x, edges, density=True)
    np.testing.assert_allclose(values, 0.45 * expected)


def test_levels_have_a_bin_each():
    edges = drawing.bin_edges(np.array([0.0, 3.0]), -0.2, 3.2, True)
    np.testing.assert_allclose(edges, [-0.5, 0.5, 1.5, 2.5, 3.5])


def test_the_frame_of_data_with_one_value_is_that_of_the_samples():
    """Otherwise no sample would be in it."""
    samples = np.random.RandomState(0).normal(size=(500, 1))
    low, high = drawing.frame({DATA: np.full((9, 1), 3.0), 'samples': samples})
    assert low[0] < -2 and high[0] > 3
    low, high = drawing.frame({DATA: samples, 'samples': 100 * samples})
    assert low[0] > -8 and high[0] < 8


def test_bins_of_many_levels_have_equally_many():
    """Even use of 1,000 levels gives bins of one height, and none is left out."""
    x = np.arange(1000.0)
    edges = drawing.bin_edges(x, -0.2, 999.2, True)
    counts, _ = np.histogram(x, edges)
    assert len(counts) <= drawing.MAX_BINS and counts.sum() == 1000
    assert {*counts[:-1].tolist()} == {17} and counts[-1] <= 17


@pytest.mark.parametrize(
    'name, lines',
    [
        ('$a$', [r'\$a\$']),
        ('_hidden', [' _hidden']),
        ('annual $income$', ['annual', r'\$income\$']),
        ('a very long name that never ends at all', ['a very', 'lo...ll']),
    ],
    ids=['dollars', 'underscore', 'two lines', 'long'],
)
def test_a_wrapped_name_is_shortened_and_escaped_once(name, lines):
    assert drawing.wrapped(name, 8) == '\n'.join(lines)


def test_an_enlarged_frame_holds_points_within_thrice_its_width():
    low, high = np.zeros(2), np.array([1.0, 2.0])
    points = np.array([[0.5, 2.5], [0.2, -1e9], [np.nan, np.inf]])
    lower, upper = drawing.enlarged(low, high, points)
    np.testing.assert_allclose(lower, [0.0, -2.0])
    assert upper[0] == 1.0 and 2.5 < upper[1] <= 4.0
    again = drawing.enlarged(low, high, np.array([[0.1, 0.1], [0.9, 1.9]]))
    np.testing.assert_array_equal(again, [low, high])


def test_a_title_says_that_classes_have_one_colour():
    """Up to ten have their own."""
    few, many = np.arange(30) % drawing.MAX_CLASSES, np.arange(30) % (drawing.MAX_CLASSES + 1)
    assert drawing.noting_classes('Samples', None) == 'Samples'
    assert drawing.noting_classes('Samples', {'samples': few}) == 'Samples'
    title = drawing.noting_classes('Samples', {DATA: few, 'samples': many})
    assert title == 'Samples (one colour for all 11 classes)'


@pytest.mark.parametrize('shape', [(1,), (2,), (3,), (4,), (7,)])
def test_views_say_that_classes_have_one_colour(monkeypatch, shape):
    texts = []

    def pixels(figure):
        texts.extend(text for text, _ in text_boxes(figure))
        return np.zeros((1, 1, 3), np.uint8)

    monkeypatch.setattr(drawing.figures, 'pixels', pixels)
    x, label = np.random.RandomState(0).normal(size=(60, *shape)), np.arange(60) % 12
    spec = Spec(shape, None, 12)
    view_of(spec).samples({DATA: x, 'samples': x}, spec, 'Samples', {'samples': label})
    assert any('one colour for all 12 classes' in text.replace('\n', ' ') for text in texts)
