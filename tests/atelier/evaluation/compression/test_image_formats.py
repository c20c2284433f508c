"""PNG and WebP of image sets: which bytes count, and that both are lossless."""

import io

import numpy as np
import pytest
from PIL import Image

from atelier.evaluation.compression import image_formats as formats
from atelier.evaluation.compression import mosaic

KINDS = [(2, 1), (17, 1), (256, 1), (256, 3)]


def images(levels, channels, n=6):
    random = np.random.RandomState(levels)
    smooth = np.add.outer(np.arange(7), np.arange(9))[None, :, :, None]
    x = (smooth + random.randint(0, 2, (n, 7, 9, channels))) * levels // 20
    return np.minimum(x, levels - 1).astype(np.uint8)


@pytest.mark.parametrize(('levels', 'channels'), KINDS)
@pytest.mark.parametrize('name', formats.OPTIONS)
def test_formats_are_lossless(name, levels, channels):
    x = images(levels, channels)[0]
    file = io.BytesIO(formats.written(x, levels, formats.OPTIONS[name]))
    with Image.open(file) as image:
        assert image.format == name.upper()
        if levels == 2 and name == 'PNG':
            assert image.mode == '1'
        decoded = np.asarray(image.convert('RGB' if channels == 3 else 'L'))
    unit = 255 if levels == 2 else 1
    np.testing.assert_array_equal(decoded.reshape(x.shape) // unit, x)


@pytest.mark.parametrize(('levels', 'channels'), KINDS)
def test_headers_are_counted_once_or_for_each(levels, channels):
    x = images(levels, channels)[:1]
    one, many = (formats.bytes_of(x.repeat(n, 0), levels) for n in (1, 50))
    for name in formats.OPTIONS:
        assert one[name]['together'] == one[name]['apart'] == many[name]['apart']
        assert many[name]['together'] < 0.4 * many[name]['apart']


def test_large_sets_are_divided_into_mosaics(monkeypatch):
    x = images(256, 1)
    whole = formats.bytes_of(x, 256)
    monkeypatch.setattr(mosaic, 'MAX_PIXELS', 3 * 63)
    parts = formats.bytes_of(x, 256)
    assert parts['PNG']['apart'] == whole['PNG']['apart']
    assert parts['PNG']['together'] > whole['PNG']['together']
