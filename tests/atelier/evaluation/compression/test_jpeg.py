"""JPEG of image sets: which bytes count, and that neighbouring tiles do not affect each other."""

import io

import numpy as np
import pytest
from PIL import Image

from atelier.evaluation.compression import jpeg, mosaic

QUALITIES = range(5, 96, 30)


def images(n, height, width, channels, seed=0):
    random = np.random.RandomState(seed)
    wave = np.sin(
        np.arange(height)[:, None, None] / 2 + random.normal(size=(n, 1, width, channels))
    )
    return np.round(127 + 120 * wave).astype(np.uint8)


@pytest.mark.parametrize(('shape', 'settings'), [((9, 8, 8, 1), 4), ((5, 10, 13, 3), 8)])
def test_higher_quality_has_more_bytes_and_smaller_errors(shape, settings):
    x = images(*shape)
    results = list(jpeg.coded(x, QUALITIES))
    assert len(results) == settings
    for part in (results[:4], results[4:]):
        sizes = [each.bytes_per_image for each in part]
        errors = [np.mean((each.x.astype(float) - x) ** 2) for each in part]
        assert sizes == sorted(sizes) and errors == sorted(errors)[::-1]
    assert all(each.x.shape == shape and each.x.dtype == np.uint8 for each in results)
    assert np.abs(results[3].x.astype(int) - x).mean() < 5
    assert [each.subsampling for each in results[4:]] == ['4:2:0'] * (settings - 4)


@pytest.mark.parametrize('channels', [1, 3])
def test_decoding_an_image_does_not_depend_on_its_neighbours(channels):
    """With sides that are no multiple of the block size, and different neighbours."""
    x, others = images(4, 9, 11, channels), images(4, 9, 11, channels, seed=1)
    others[1] = x[1]
    for mine, theirs in zip(jpeg.coded(x, QUALITIES), jpeg.coded(others, QUALITIES), strict=True):
        np.testing.assert_array_equal(mine.x[1], theirs.x[1])


@pytest.mark.parametrize('subsampling', ['4:4:4', '4:2:0'])
@pytest.mark.parametrize('quality', [30, 60, 90])
def test_pixels_are_those_of_each_image_coded_alone(subsampling, quality):
    """Up to the borders, between images of different colours."""
    x = np.broadcast_to(np.random.RandomState(0).randint(0, 256, (6, 1, 1, 3)), (6, 16, 32, 3))
    x = x.astype(np.uint8) // 2 + images(6, 16, 32, 3) // 2
    (result,) = [r for r in jpeg.coded(x, range(quality, quality + 1)) if r[1] == subsampling]
    for image, coded in zip(x, result.x, strict=True):
        file = io.BytesIO()
        Image.fromarray(image).save(file, format='JPEG', quality=quality, subsampling=subsampling)
        np.testing.assert_array_equal(np.asarray(Image.open(file)), coded)


def test_headers_are_not_counted():
    """One image and a hundred copies have equal bytes per image, up to rounding to whole bytes."""
    x = images(1, 16, 16, 1)
    one, many = (next(jpeg.coded(np.repeat(x, n, 0), range(50, 51))) for n in (1, 100))
    assert one.bytes_per_image == round(one.bytes_per_image)
    assert abs(one.bytes_per_image - many.bytes_per_image) < 0.2 * one.bytes_per_image
    file = io.BytesIO()
    Image.fromarray(x[0, ..., 0]).save(file, format='JPEG', quality=50, optimize=True)
    assert one.bytes_per_image == jpeg.scan_bytes(file.getvalue()) < len(file.getvalue()) / 3


def test_a_flat_image_takes_about_one_byte():
    """One DC coefficient and one end-of-block code, padded to whole bytes."""
    flat = np.full((1, 8, 8, 1), 200, np.uint8)
    (result,) = jpeg.coded(flat, range(90, 91))
    assert result.bytes_per_image <= 2
    np.testing.assert_allclose(result.x, 200, atol=1)


def test_a_large_set_is_divided_into_mosaics(monkeypatch):
    x = images(7, 8, 8, 1)
    (whole,) = jpeg.coded(x, range(50, 51))
    monkeypatch.setattr(mosaic, 'MAX_PIXELS', 3 * 64)
    (parts,) = jpeg.coded(x, range(50, 51))
    np.testing.assert_array_equal(parts.x, whole.x)
    assert abs(parts.bytes_per_image - whole.bytes_per_image) <= 3


def test_bytes_that_are_not_a_jpeg_are_refused():
    with pytest.raises(ValueError, match='no scan'):
        jpeg.scan_bytes(b'\xff\xd8 nothing')
