"""Decodes one image into an array: all pixel formats, the centre crop, and refused images.

The images are made here; numpy, not Pillow, computes the expected arrays.
"""

import io
import re
import resource
import struct
import subprocess
import zlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from atelier.data import images

RED, WHITE, BLACK = (255, 0, 0), (255, 255, 255), (0, 0, 0)
NOISE = np.random.RandomState(0).randint(0, 256, (12, 20, 3)).astype(np.uint8)


def stored(image, kind='png', **keywords) -> bytes:
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    raw = io.BytesIO()
    image.save(raw, kind, **keywords)
    return raw.getvalue()


def plain(mode, colour, size=(5, 4)):
    return Image.new(mode, size, colour)


def decode(raw, shape, resize=True):
    array = images.decode('a.png', raw, shape, resize)
    assert array.shape == shape
    assert array.dtype == np.uint8
    return array


def colours(array):
    return sorted({tuple(map(int, pixel)) for pixel in array.reshape(-1, array.shape[-1])})


# Pixel formats


@pytest.mark.parametrize(
    ('raw', 'shape', 'expected'),
    [
        pytest.param(stored(plain('L', 77)), (4, 5, 1), (77,), id='grey'),
        pytest.param(stored(plain('1', 1)), (4, 5, 1), (255,), id='bits'),
        pytest.param(stored(plain('RGB', RED)), (4, 5, 3), RED, id='colour'),
        # ITU-R 601-2: 0.299 times red, rounded
        pytest.param(stored(plain('RGB', RED)), (4, 5, 1), (76,), id='colour as grey'),
        pytest.param(stored(plain('RGB', RED).convert('P')), (4, 5, 3), RED, id='palette'),
        pytest.param(stored(plain('RGB', RED), 'gif'), (4, 5, 3), RED, id='gif'),
        pytest.param(stored(plain('CMYK', (0, 255, 255, 0)), 'tiff'), (4, 5, 3), RED, id='cmyk'),
        pytest.param(stored(plain('RGB', RED), 'bmp'), (4, 5, 3), RED, id='bmp'),
        pytest.param(stored(plain('RGB', RED), 'ppm'), (4, 5, 3), RED, id='ppm'),
        pytest.param(stored(plain('RGB', RED), 'webp', lossless=True), (4, 5, 3), RED, id='webp'),
    ],
)
def test_every_pixel_format_is_decoded(raw, shape, expected):
    assert colours(decode(raw, shape, resize=False)) == [expected]
    assert images.shape_of('a.png', raw)[:2] == images.size_of('a.png', raw) == shape[:2]


def test_a_jpeg_is_close_to_its_colours():
    for picture in (plain('RGB', (200, 30, 40)), plain('CMYK', (55, 225, 215, 0))):
        array = decode(stored(picture, 'jpeg'), (4, 5, 3), resize=False)
        np.testing.assert_allclose(array.astype(int) - (200, 30, 40), 0, atol=3)


@pytest.mark.parametrize(
    ('raw', 'channels', 'expected'),
    [
        pytest.param(stored(plain('RGBA', (0, 0, 0, 0))), 3, WHITE, id='colour'),
        pytest.param(stored(plain('RGBA', (*RED, 255))), 3, RED, id='opaque'),
        pytest.param(stored(plain('RGBA', (0, 0, 0, 51))), 3, (204, 204, 204), id='a fifth'),
        pytest.param(stored(plain('RGBA', (0, 0, 0, 0))), 1, (255,), id='colour as grey'),
        pytest.param(stored(plain('LA', (0, 0))), 1, (255,), id='grey'),
        pytest.param(stored(plain('P', 0), transparency=0), 3, WHITE, id='palette'),
        pytest.param(stored(plain('P', 0), 'gif', transparency=0), 3, WHITE, id='gif'),
        pytest.param(stored(plain('L', 7), transparency=7), 1, (255,), id='one grey'),
        pytest.param(stored(plain('RGB', RED), transparency=RED), 3, WHITE, id='one colour'),
    ],
)
def test_transparent_parts_become_white(raw, channels, expected):
    assert colours(decode(raw, (4, 5, channels), resize=False)) == [expected]


def test_an_animation_gives_its_first_frame():
    frames = [plain('RGB', colour) for colour in (RED, WHITE)]
    raw = stored(frames[0], 'gif', save_all=True, append_images=frames[1:])
    assert colours(decode(raw, (4, 5, 3), resize=False)) == [RED]


@pytest.mark.parametrize(
    ('orientation', 'upright'),
    [
        (1, lambda x: x),
        (2, lambda x: x[:, ::-1]),
        (3, lambda x: x[::-1, ::-1]),
        (6, lambda x: np.rot90(x, -1)),
        (8, lambda x: np.rot90(x)),
    ],
)
@pytest.mark.parametrize('resize', [False, True])
def test_exif_orientation_is_applied(orientation, upright, resize):
    exif = Image.Exif()
    exif[0x112] = orientation
    raw, expected = stored(NOISE, exif=exif), upright(NOISE)
    assert images.shape_of('a.png', raw) == expected.shape
    np.testing.assert_array_equal(decode(raw, expected.shape, resize), expected)


# Conversions, which are named


SIXTEEN_BITS = (np.arange(20, dtype=np.uint16) * 3449).reshape(4, 5)  # up to 65531


def deep_png(x, colour_type, transparent=b''):
    """A PNG of 16 bits a value, of x [height, width, channels]."""

    def chunk(kind, content):
        checked = kind + content
        return struct.pack('>I', len(content)) + checked + struct.pack('>I', zlib.crc32(checked))

    header = struct.pack('>IIBBBBB', x.shape[1], x.shape[0], 16, colour_type, 0, 0, 0)
    rows = b''.join(b'\0' + row.astype('>u2').tobytes() for row in x)
    parts = [chunk(b'IHDR', header), chunk(b'IDAT', zlib.compress(rows)), chunk(b'IEND', b'')]
    if transparent:
        parts.insert(1, chunk(b'tRNS', transparent))
    return b'\x89PNG\r\n\x1a\n' + b''.join(parts)


@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('kind', ['png', 'tiff', 'ppm'])
def test_of_16_bits_the_high_byte_is_kept(kind, channels):
    x, changes = images.picture('a', stored(SIXTEEN_BITS, kind), (4, 5, channels), False)
    np.testing.assert_array_equal(x, np.repeat((SIXTEEN_BITS >> 8)[..., None], channels, 2))
    assert '16-bit (cut to their high byte)' in changes


def test_a_bmp_of_16_bits_for_all_colours_loses_nothing():
    """Its colours have 5, 6 and 5 bits: none is cut."""
    pixels = struct.pack('<4H', 0xF800, 0x07E0, 0x001F, 0xFFFF)  # the lower row comes first
    masks = struct.pack('<3I', 0xF800, 0x07E0, 0x001F)
    header = struct.pack('<IiiHHIIiiII', 40, 2, 2, 1, 16, 3, len(pixels), 0, 0, 0, 0)
    file = struct.pack('<2sIHHI', b'BM', 66 + len(pixels), 0, 0, 66)
    x, changes = images.picture('a.bmp', file + header + masks + pixels, (2, 2, 3), False)
    assert changes == ()
    assert x.tolist() == [[[0, 0, 255], [255] * 3], [[255, 0, 0], [0, 255, 0]]]


@pytest.mark.parametrize(('colour_type', 'stored_channels'), [(2, 3), (6, 4)])
def test_of_48_bits_the_high_byte_is_kept_and_said(colour_type, stored_channels):
    values = np.random.RandomState(0).randint(0, 65536, (4, 5, stored_channels))
    values[..., 3:] = 65535
    x, changes = images.picture('a', deep_png(values, colour_type), (4, 5, 3), False)
    np.testing.assert_array_equal(x, values[..., :3] >> 8)
    assert changes == ('16-bit (cut to their high byte)',)


@pytest.mark.parametrize(('colour_type', 'channels'), [(0, 1), (2, 3)])
def test_a_transparent_value_of_16_bits_becomes_white(colour_type, channels):
    values = np.full((4, 5, channels), 0x1234)
    values[0] = 0x4321
    transparent = struct.pack('>H', 0x1234) * channels
    shape = (4, 5, channels)
    x, changes = images.picture('a', deep_png(values, colour_type, transparent), shape, False)
    assert (x[1:] == 255).all()
    assert (x[0] == 0x43).all()
    assert changes == ('16-bit (cut to their high byte)', 'transparent (put on white)')


@pytest.mark.parametrize(
    ('raw', 'channels', 'changes'),
    [
        pytest.param(stored(NOISE), 3, (), id='colour'),
        pytest.param(stored(NOISE[..., 0]), 1, (), id='grey'),
        pytest.param(stored(plain('1', 1)), 1, (), id='bits'),
        pytest.param(stored(plain('P', 3)), 3, (), id='palette'),
        pytest.param(stored(plain('RGBA', (*RED, 255))), 3, (), id='opaque'),
        pytest.param(stored(plain('L', 9)), 3, ('grey (made colour)',), id='grey as colour'),
        pytest.param(stored(plain('RGB', RED)), 1, ('colour (made grey)',), id='colour as grey'),
        pytest.param(
            stored(plain('RGBA', (*RED, 254))), 3, ('transparent (put on white)',), id='transparent'
        ),
        pytest.param(
            stored(plain('LA', (9, 9))),
            3,
            ('grey (made colour)', 'transparent (put on white)'),
            id='two changes',
        ),
        pytest.param(stored(plain('CMYK', RED + (0,)), 'jpeg'), 3, ('CMYK (made RGB)',), id='CMYK'),
    ],
)
def test_changes_are_named(raw, channels, changes):
    shape = (*images.shape_of('a', raw)[:2], channels)
    assert images.picture('a', raw, shape, False).changes == changes


@pytest.mark.parametrize('kind', ['tiff', 'gif', 'png', 'webp'])
def test_pages_and_frames_after_the_first_are_named(kind):
    frames = [plain('RGB', colour) for colour in (RED, WHITE, BLACK)]
    raw = stored(frames[0], kind, save_all=True, append_images=frames[1:])
    x, changes = images.picture('a', raw, (4, 5, 3), False)
    assert changes == ('of several pages or frames (only the first is used)',)
    np.testing.assert_allclose(x.astype(int) - RED, 0, atol=3)  # a WEBP is not exact


def test_grey_becomes_three_equal_channels():
    grey = NOISE[..., 0]
    np.testing.assert_array_equal(
        decode(stored(grey), NOISE.shape), np.repeat(grey[..., None], 3, 2)
    )


# Scaling and cropping


@pytest.mark.parametrize('resize', [False, True])
def test_a_picture_of_the_right_size_is_unchanged(resize):
    np.testing.assert_array_equal(decode(stored(NOISE), NOISE.shape, resize), NOISE)
    grey = NOISE[..., :1]
    np.testing.assert_array_equal(decode(stored(grey[..., 0]), grey.shape, resize), grey)


def test_a_crop_without_scaling_copies_the_centre():
    np.testing.assert_array_equal(decode(stored(NOISE), (12, 12, 3)), NOISE[:, 4:16])
    np.testing.assert_array_equal(decode(stored(NOISE), (8, 20, 3)), NOISE[2:10])


@settings(max_examples=60)
@example(height=40, width=29, shape=(28, 28, 1))  # 28 * (29 / 28) > 29 in floating point
@example(height=150, width=109, shape=(100, 100, 3))
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    shape=st.tuples(st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 3])),
)
def test_one_colour_stays_one_colour_at_every_size(height, width, shape):
    raw = stored(plain('RGB', (80, 80, 80), (width, height)))
    assert colours(decode(raw, shape)) == [(80,) * shape[2]]


@pytest.mark.parametrize('size', [(1000, 1), (1, 1000)])
@pytest.mark.parametrize('shape', [(8, 8, 3), (1, 30, 3), (30, 1, 1), (1000, 1, 3), (1, 1000, 3)])
def test_an_image_one_pixel_wide_is_scaled(size, shape):
    raw = stored(plain('RGB', (9, 9, 9), size))
    assert colours(decode(raw, shape)) == [(9,) * shape[2]]


def with_margins(long, short, axis):
    """A black square centred between white margins."""
    x = np.full((long, short), 255, np.uint8)
    x[(long - short) // 2 : (long + short) // 2] = 0
    return x if axis == 0 else x.T


@pytest.mark.parametrize('axis', [0, 1])
@pytest.mark.parametrize('long', [90, 3000])
def test_the_middle_of_the_crop_is_the_centre(axis, long):
    array = decode(stored(with_margins(long, 30, axis)), (10, 10, 1))
    middle = array[4:6] if axis == 0 else array[:, 4:6]
    assert colours(middle) == [(0,)]


@pytest.mark.parametrize('axis', [0, 1])
@pytest.mark.parametrize('side', [10, 30, 64])
def test_the_crop_contains_no_margin_pixels(axis, side):
    array = decode(stored(with_margins(90, 30, axis)), (side, side, 1))
    assert colours(array) == [(0,)]


@pytest.mark.parametrize('side', [7, 16, 100])
def test_a_linear_ramp_stays_linear_under_scaling(side):
    """Under any scaling, each pixel has the value of the linear ramp at its centre."""
    slope = np.broadcast_to(np.arange(64, dtype=np.uint8) * 4, (64, 64))
    array = decode(stored(np.ascontiguousarray(slope)), (side, side, 1))[..., 0].astype(int)
    expected = ((np.arange(side) + 0.5) * 64 / side - 0.5) * 4
    inner = slice(side // 5, -(side // 5))  # at the border the filter is one-sided
    np.testing.assert_allclose(array[:, inner] - expected[inner], 0, atol=3)


def test_scaling_while_a_jpeg_is_decoded_shows_the_same_picture():
    """The wavelength is 2.5 output pixels: decoding the JPEG to exactly that size would fade it."""
    y, x = np.mgrid[:128, :128] * 2 * np.pi / 20
    waves = np.uint8(127 + 60 * np.sin(x) + 60 * np.cos(y))
    jpeg = stored(waves, 'jpeg', quality=95)
    with Image.open(io.BytesIO(jpeg)) as image:
        png = stored(image)
    early, late = (decode(raw, (16, 16, 1)).astype(int) for raw in (jpeg, png))
    np.testing.assert_allclose(early, late, atol=12)
    assert np.ptp(late) > 150


# Refused images


def png_of(width, height, pixels):
    """An RGB PNG whose header gives any size, whatever the pixel data."""

    def chunk(kind, content):
        checked = kind + content
        return struct.pack('>I', len(content)) + checked + struct.pack('>I', zlib.crc32(checked))

    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    parts = [chunk(b'IHDR', header), chunk(b'IDAT', zlib.compress(pixels)), chunk(b'IEND', b'')]
    return b'\x89PNG\r\n\x1a\n' + b''.join(parts)


def test_the_png_made_by_hand_is_decoded():
    assert colours(decode(png_of(2, 1, b'\0' + bytes(RED) * 2), (1, 2, 3))) == [RED]


@pytest.mark.parametrize('width', [60_000, 8193])
def test_a_bomb_is_refused_before_it_is_unpacked(complaint, width):
    height = 60_000 if width == 60_000 else 8192
    raw = png_of(width, height, b'\0' * 1_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for call in (
        lambda: images.decode('bomb.png', raw, (8, 8, 3), resize=True),
        lambda: images.shape_of('bomb.png', raw),
    ):
        message = complaint(call)
        assert re.fullmatch(f'bomb.png has {height}x{width} pixels: the maximum is .*', message)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 50_000  # in KB; the smaller bomb alone unpacks to 200 MB


def test_a_format_that_starts_a_program_is_refused(complaint, monkeypatch):
    started = []
    monkeypatch.setattr(subprocess, 'Popen', lambda *arguments, **_: started.append(arguments))
    text = b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n'
    line = complaint(images.decode, 'a.png', text, (8, 8, 3), False)
    assert line.startswith('a.png is not an image in a known format (PNG, JPEG, ')
    assert not started


PNG, JPEG = stored(NOISE), stored(NOISE, 'jpeg')


@pytest.mark.parametrize(
    ('raw', 'shape', 'message'),
    [
        pytest.param(b'', (8, 8, 3), 'a.png is not an image in a known format', id='zero bytes'),
        pytest.param(
            b'rubbish', (8, 8, 3), 'a.png is not an image in a known format', id='rubbish'
        ),
        pytest.param(
            b'a\nb' * 99, (8, 8, 3), 'a.png is not an image in a known format', id='lines'
        ),
        pytest.param(PNG[:20], (8, 8, 3), 'cannot read the image a.png', id='a png header'),
        pytest.param(PNG[:300], (8, 8, 3), 'a.png: image file is truncated', id='half a png'),
        pytest.param(JPEG[:99], (8, 8, 3), 'cannot read the image a.png', id='a jpeg header'),
        pytest.param(JPEG[:-99], (8, 8, 3), 'a.png: image file is truncated', id='half a jpeg'),
        pytest.param(
            PNG[:99] + bytes([PNG[99] ^ 1]) + PNG[100:], (8, 8, 3), 'a.png: ', id='a flipped bit'
        ),
        pytest.param(
            png_of(2000, 2000, b'\0' * 1000), (8, 8, 3), 'a.png: image file is trunc', id='a bomb'
        ),
        pytest.param(
            stored(Image.fromarray(np.ones((4, 5), np.float32)), 'tiff'),
            (4, 5, 1),
            'a.png has pixels of kind F: convert it to 8 bits',
            id='floats',
        ),
        pytest.param(
            stored(Image.fromarray(np.ones((4, 5), np.int32)), 'tiff'),
            (4, 5, 1),
            'a.png has pixels of kind I: convert it to 8 bits',
            id='32 bits',
        ),
    ],
)
@pytest.mark.parametrize('resize', [False, True])
def test_unusable_picture_files_are_refused(complaint, raw, shape, message, resize):
    line = complaint(images.decode, 'a.png', raw, shape, resize)
    assert re.search(message, line), line


def test_another_size_without_scaling_is_refused(complaint):
    line = complaint(images.decode, 'a.png', PNG, (20, 12, 3), False)
    assert line.startswith('a.png is 12x20 and others are 20x12')
    assert 'config.data.image_shape=20,12,3' in line


def test_a_message_has_no_address_in_memory(complaint):
    assert '0x' not in complaint(images.decode, 'a.png', b'rubbish', (8, 8, 3), True)
