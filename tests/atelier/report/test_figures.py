import numpy as np
import pytest
from figure_checks import check_texts
from matplotlib.colors import to_rgb
from PIL import Image

from atelier.report import figures


def test_panels_wrap_and_none_is_empty():
    """Seven panels stand in rows of three; the width stays that of three."""
    figure, axes = figures.panels(7)
    assert len(axes) == len(figure.axes) == 7
    assert figure.get_size_inches()[0] == pytest.approx(3 * figures.PANEL[0])
    assert figures.panels(2)[0].get_size_inches()[0] == pytest.approx(2 * figures.PANEL[0])


def test_a_picture_has_the_pixels_of_its_figure(tmp_path):
    figure, (axis,) = figures.panels(1)
    axis.set(xticks=[], yticks=[], facecolor='#0072B2')
    picture = figures.pixels(figure)
    width, height = (round(figures.DPI * inches) for inches in figures.PANEL)
    assert picture.shape == (height, width, 3) and picture.dtype == np.uint8
    assert picture[height // 2, width // 2].tolist() == [0x00, 0x72, 0xB2]
    figures.save_figure(tmp_path / 'a.png', figure)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / 'a.png')), picture)


def test_grey_pictures_are_saved_as_grey(tmp_path):
    picture = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    figures.save_picture(tmp_path / 'a.png', picture)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / 'a.png')), picture[..., 0])


def test_lines_differ_in_colour_or_style():
    assert len({(figures.colour(i), figures.line_style(i)) for i in range(24)}) == 24


# The simulations of Viénot, Brettel and Mollon 1999, for linear RGB: people who lack the pigment of
# medium or of long wavelengths see no difference between red and green.
DICHROMATS = {
    'deuteranope': [[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]],
    'protanope': [[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]],
    'trichromat': np.eye(3).tolist(),
}


@pytest.mark.parametrize('vision', DICHROMATS)
def test_colours_differ_for_every_colour_vision(vision):
    """Every two differ by a seventh of the range of a colour at least."""
    colours = np.array([to_rgb(each) for each in figures.COLOURS])
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(DICHROMATS[vision]).T, 0, 1)
    seen = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    distances = np.linalg.norm(seen[:, None] - seen[None], axis=-1)
    assert distances[~np.eye(len(seen), dtype=bool)].min() > 1 / 7


@pytest.mark.parametrize(
    'x, message', [(0.999, 'is cut'), (0.5, 'overlap')], ids=['at the border', 'on another']
)
def test_the_check_of_texts_finds_faults(x, message):
    figure, (axis,) = figures.panels(1)
    figure.text(0.5, 0.5, 'in the middle')
    figure.text(x, 0.5, 'another text')
    axis.set_axis_off()
    with pytest.raises(AssertionError, match=message):
        check_texts(figure)
