"""Strokes of known thickness and slant, and invariances."""

import numpy as np
import pytest

from atelier.evaluation.examples import strokes

SIZE, LENGTH = 96, 60
ANGLES = [0, 10, 22.5, 30, 45, -30, 90]


def bar(width, angle, length=LENGTH, centre=(47.3, 48.1)):
    """Draws a bar `angle` degrees to the right of upright, antialiased by 4 x 4 samples."""
    coordinates = (np.arange(4 * SIZE) + 0.5) / 4 - 0.5
    down, right = coordinates[:, None] - centre[0], coordinates - centre[1]
    sine, cosine = np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))
    along, across = right * sine - down * cosine, right * cosine + down * sine
    drawn = (abs(along) <= length / 2) & (abs(across) <= width / 2)
    return drawn.reshape(SIZE, 4, SIZE, 4).mean((1, 3))


@pytest.mark.parametrize('angle', ANGLES)
@pytest.mark.parametrize('width', [2, 3.5, 6, 10])
def test_the_thickness_of_a_bar(width, angle):
    expected = width * LENGTH / (width + LENGTH)
    (thickness,) = strokes.thickness(bar(width, angle)[None])
    assert thickness == pytest.approx(expected, rel=0.13 if width < 3 else 0.08)


def test_thickness_does_not_depend_on_shade_position_or_length():
    images = np.stack(
        [
            bar(4, 20),
            0.3 * bar(4, 20),
            bar(4, 20, centre=(40, 55)),
            bar(4, 20, length=80),
            np.maximum(bar(4, 20, 40, (48, 25)), bar(4, 20, 40, (48, 70))),
        ]
    )
    thickness = strokes.thickness(images)
    assert thickness[1] == pytest.approx(thickness[0])
    np.testing.assert_allclose(thickness, thickness[0], rtol=0.05)


def test_a_stroke_at_the_border_has_its_whole_perimeter():
    image = np.zeros((1, SIZE, SIZE))
    image[:, :, :4] = 1
    assert strokes.thickness(image)[0] == pytest.approx(4 * SIZE / (4 + SIZE), rel=0.1)


@pytest.mark.parametrize('angle', [0, 10, 22.5, 30, 45, -30, -60])
def test_the_slant_of_a_bar(angle):
    """For a thin bar; a wide one, rotated and not sheared, would measure slightly more upright."""
    (slant,) = strokes.slant(bar(2, angle)[None])
    assert slant == pytest.approx(angle, abs=0.5)


def test_the_slant_of_sheared_strokes_is_the_shear():
    """Two strokes, each row shifted to the right by its height above the middle."""
    image = np.zeros((1, 41, 200))
    for row in range(41):
        for start in (60, 80):
            image[0, row, start + 20 - row : start + 25 - row] = 0.7
    assert strokes.slant(image)[0] == pytest.approx(45)


def test_blank_and_flat_images_have_zero_slant():
    images = np.zeros((2, 8, 8))
    images[1, 3] = 1
    np.testing.assert_array_equal(strokes.slant(images), 0)
    assert strokes.thickness(images)[0] == 0
