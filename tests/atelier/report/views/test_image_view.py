"""Pictures of images: classes in columns, rows of pairs."""

import numpy as np
import pytest

from atelier.data.spec import Spec
from atelier.report import figures, image_grids
from atelier.report.views.image_view import IMAGES, period

SPEC = Spec((4, 4, 1), 17, 3)
NAMED = SPEC._replace(class_names=('cat', 'dog', 'cow'))


def images(n, spec=SPEC):
    return np.random.RandomState(0).randint(spec.levels, size=(n, *spec.event_shape))


@pytest.fixture
def drawn(monkeypatch):
    """The figures that a test draws."""
    found, draw = [], figures.pixels
    monkeypatch.setattr(figures, 'pixels', lambda figure: found.append(figure) or draw(figure))
    return found


@pytest.mark.parametrize(
    ('label', 'expected'), [([2, 0, 2, 0, 2], 2), ([1, 1, 1], 1), ([0, 1, 2], 3), ([0, 1, 1, 0], 3)]
)
def test_the_period_is_after_how_many_labels_they_repeat(label, expected):
    """The last labels may be the beginning of a period."""
    assert period(np.array(label)) == expected


def test_each_class_has_its_columns(drawn):
    """Classes without names have their numbers below them."""
    x, label = images(50), np.resize([2, 0, 1], 50)
    IMAGES.samples({'samples': x}, SPEC, 'Samples by class', {'samples': label})
    (axes,) = drawn[0].axes
    (image,) = axes.images
    expected = image_grids.grid(x, SPEC, columns=6)  # the root of 50 is 7
    np.testing.assert_array_equal(image.get_array(), expected[..., 0])
    assert [label.get_text() for label in axes.get_xticklabels()] == ['2', '0', '1'] * 2


def test_columns_have_the_names_of_their_classes(drawn):
    labels = {'samples': np.resize([1, 2], 16)}
    IMAGES.samples({'samples': images(16)}, NAMED, 'Samples by class', labels)
    (axes,) = drawn[0].axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ['dog', 'cow', 'dog', 'cow']


@pytest.mark.parametrize(
    ('n', 'has_names'), [pytest.param(60, True, marks=pytest.mark.slow), (100, False)]
)
def test_many_classes_make_no_strip(n, has_names):
    """Of fifty classes, each image has its name, or there are no names and the grid is square."""
    spec = Spec((8, 8, 1), 17, 50, class_names=tuple(f'class number {i}' for i in range(50)))
    labels = {'samples': np.resize(np.arange(50), n)}
    picture = IMAGES.samples({'samples': images(n, spec)}, spec, 'Samples by class', labels)
    height, width, channels = picture.shape
    assert 400 <= width <= 1300 and height > width / 2
    assert (channels == 3) == has_names


@pytest.mark.parametrize('title', ['', 'Test images and their reconstructions'])
def test_every_pair_is_drawn_also_in_a_row_that_is_not_whole(drawn, title):
    """Training draws pairs without a title: then the grid has no text, which takes time."""
    x = np.full((17, 4, 4, 1), 16)
    x[0] = 0
    picture = IMAGES.pairs(x, x, SPEC, title)
    assert len(drawn) == bool(title)
    grid = drawn[0].axes[0].images[0].get_array() if title else picture[..., 0]
    size = grid.shape[0] // 21  # of a pixel: the grid has four rows of 4 pixels, and borders
    rows = grid[::size][1 + 5 * np.arange(4)]
    assert [int((row == 255).sum()) // (4 * size) for row in rows] == [15, 15, 1, 1]
