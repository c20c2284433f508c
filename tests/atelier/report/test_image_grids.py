"""Grids of images."""

import numpy as np
import pytest
from figure_checks import check_texts

from atelier.data.dataset import Spec
from atelier.report import image_grids


def test_a_grid_shows_every_event_at_its_position(tmp_path):
    spec = Spec((2, 3, 1), 5, None)
    x = np.arange(5)[:, None, None, None] * np.ones((5, 2, 3, 1))
    image = image_grids.grid(x, spec, columns=2)
    assert image.shape == (3 * 3 + 1, 2 * 4 + 1, 1)
    corners = [image[1 + 3 * (i // 2), 1 + 4 * (i % 2), 0] for i in range(5)]
    np.testing.assert_array_equal(corners, np.round(255 * np.arange(5) / 4))
    image_grids.save(tmp_path / 'a' / 'grid.png', image)
    from PIL import Image

    pixels = np.asarray(Image.open(tmp_path / 'a' / 'grid.png'))
    factor = pixels.shape[1] // image.shape[1]
    assert pixels.shape[1] >= 400
    np.testing.assert_array_equal(pixels[::factor, ::factor], image[..., 0])


@pytest.mark.parametrize(
    ('shape', 'expected'),
    [((8, 8), True), ((8, 8, 3), True), ((8, 8, 2), False), ((9,), False), ((), False)],
)
def test_shapes_of_images_are_recognized(shape, expected):
    assert image_grids.is_image(Spec(shape, None, None)) == expected


def test_real_values_are_scaled_to_the_grids_range():
    image = image_grids.grid(np.array([[[-3.0]], [[5.0]]]), Spec((1, 1), None, None), columns=2)
    assert image[1, 1, 0] == 0
    assert image[1, 3, 0] == 255


def test_labels_stand_at_the_middles_of_images():
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    image = image_grids.tiled(np.ones((6, 1, 2, 1)), columns=3)
    image_grids.show(axes, image, ['a', 'b'], ['1', '2', '3'])
    np.testing.assert_allclose(axes.get_yticks(), [1, 3])  # rows of one pixel, and borders
    np.testing.assert_allclose(axes.get_xticks(), [1.5, 4.5, 7.5])


@pytest.mark.parametrize(
    'values',
    [np.linspace(-9.93, 8.3, 12), np.sinh(np.linspace(-2, 3, 7)), np.linspace(0, 1e-3, 4)],
    ids=['even', 'quantiles', 'small'],
)
def test_numbers_of_a_scale_are_round_even_and_where_they_belong(values):
    """A grid with one image at each value: a number stands between the images next to it."""
    from matplotlib.figure import Figure

    axes, n = Figure().subplots(), len(values)
    image = image_grids.tiled(np.zeros((n * n, 8, 8, 1)), n)
    image_grids.show_scaled(axes, image, values, values)
    middles = image_grids.middles(image.shape[1], n)
    for ticks, labels, places in (
        (axes.get_xticks(), axes.get_xticklabels(), middles),
        (axes.get_yticks(), axes.get_yticklabels(), middles[::-1]),
    ):
        texts = [each.get_text() for each in labels]
        numbers = np.array([float(text.replace('\N{MINUS SIGN}', '-')) for text in texts])
        assert len(numbers) >= 3
        np.testing.assert_allclose(np.diff(numbers), np.diff(numbers)[0])
        np.testing.assert_allclose(np.interp(numbers, values, places), ticks, atol=1e-6)
        assert not any('-' in text for text in texts)


def test_a_scale_of_one_value_has_its_number():
    assert image_grids.round_numbers(np.zeros(3)) == [0.0]


@pytest.mark.parametrize('num_lines', [1, 2, 3, 4])
@pytest.mark.parametrize('across', ['', 'step', 'a name of columns that needs more than one line'])
def test_the_texts_around_a_grid_are_not_cut(monkeypatch, num_lines, across):
    drawn = []
    keep = lambda figure: drawn.append(figure) or np.zeros((1, 1, 3), np.uint8)
    monkeypatch.setattr(image_grids.figures, 'pixels', keep)
    image = image_grids.tiled(np.zeros((16, 8, 8, 1)), 4)
    title = '\n'.join(['a title'] * num_lines)
    image_grids.labelled(image, title, [''] * 4, ['0', '1', '2', '3'], across)
    check_texts(drawn[0])
    assert drawn[0].get_supxlabel().replace('\n', ' ') == across
