"""Pictures in a page: decoded, bounded, and written again."""

import base64
import io
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from atelier.errors import UserError
from atelier.report.page import pictures
from atelier.report.page.pictures import Pictures, encode


def png(path, x, **options):
    Image.fromarray(x).save(path, 'PNG', **options)
    return path


def shown(figure):
    """The picture in a figure, as a browser would decode it."""
    kind, data = re.search(r'src="data:image/(\w+);base64,([^"]+)"', figure).groups()
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert image.format.lower() == kind
    return np.asarray(image)


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)


def test_a_picture_keeps_its_pixels(tmp_path, noise):
    for x in (noise, noise[..., 0]):
        figure = Pictures(10**6).figure(png(tmp_path / 'a.png', x), 'samples', 'caption <b>')
        np.testing.assert_array_equal(shown(figure), x)
        assert 'alt="samples"' in figure and 'caption &lt;b&gt;' in figure


def test_a_small_picture_is_enlarged_by_whole_numbers(tmp_path, noise):
    figure = Pictures(10**6).figure(png(tmp_path / 'a.png', noise), 'samples')
    assert 'width="270" height="360" class="pixels"' in figure
    wide = np.zeros((100, 800), np.uint8)
    figure = Pictures(10**6).figure(png(tmp_path / 'b.png', wide), 'wide')
    assert 'width="800" height="100"' in figure and 'picture wide' in figure
    assert 'pixels' not in figure


def test_what_a_file_hides_does_not_reach_the_page(tmp_path, noise):
    """A text in a PNG, and what follows it."""
    from PIL.PngImagePlugin import PngInfo

    hidden = PngInfo()
    hidden.add_text('Comment', 'SECRET <script>')
    path = png(tmp_path / 'a.png', noise, pnginfo=hidden)
    path.write_bytes(path.read_bytes() + b'SECRET')
    assert b'SECRET' in path.read_bytes() and b'SECRET' not in encode(path).raw


def test_a_large_picture_becomes_smaller(tmp_path, monkeypatch):
    x = np.random.default_rng(0).integers(100, 130, (200, 400, 3), dtype=np.uint8)
    path = png(tmp_path / 'a.png', x)
    assert encode(path)[2:] == (400, 200)
    monkeypatch.setattr(pictures, 'SIZES', (300, 200, 100))
    monkeypatch.setattr(pictures, 'MAX_ENCODED', 20_000)
    encoded = encode(path)
    assert len(encoded.raw) <= 20_000
    assert encoded[2:] in ((300, 150), (200, 100), (100, 50))
    monkeypatch.setattr(pictures, 'MAX_ENCODED', 1000)
    with pytest.raises(UserError, match='even at 100 pixels'):
        encode(tmp_path / 'a.png')


def declared(width, height):
    """A PNG that says it is huge and holds nothing."""
    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    chunk = lambda kind, data: (
        struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    )
    body = chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(b'')) + chunk(b'IEND', b'')
    return b'\x89PNG\r\n\x1a\n' + body


def test_what_is_no_picture_or_too_large_is_left_out_and_named(tmp_path, noise):
    cases = {
        'text': (b'<svg onload="alert(1)">', 'not an image'),
        'empty': (b'', 'not an image'),
        'huge': (declared(100_000, 100_000), 'pixels'),
        'large': (declared(5_000, 5_000), '5,000 x 5,000 pixels'),
        'cut': (png(tmp_path / 'x.png', noise).read_bytes()[:-2000], 'cannot read'),
    }
    added = Pictures(10**6)
    for name, (raw, _) in cases.items():
        (tmp_path / f'{name}.png').write_bytes(raw)
        assert added.figure(tmp_path / f'{name}.png', name) is None
    assert added.figure(tmp_path / 'gone.png', 'gone') is None
    assert {*added.left_out} == {*cases, 'gone'}
    for name, (_, reason) in cases.items():
        assert reason in added.left_out[name]
        assert str(tmp_path) not in added.left_out[name]
    assert 'Left out: text (' in added.remark()


def test_pictures_stop_at_the_budget(tmp_path, noise):
    path = png(tmp_path / 'a.png', noise)
    size = len(Pictures(10**6).figure(path, 'a'))
    added = Pictures(2 * size + 10)
    made = [added.figure(path, name) for name in 'abcd']
    assert [figure is not None for figure in made] == [True, True, False, False]
    assert 'Left out: c (the page is full), d (the page is full)' in added.remark()
    assert Pictures(10**6).remark() is None


def test_a_page_has_a_bounded_number_of_pictures(tmp_path, noise, monkeypatch):
    monkeypatch.setattr(pictures, 'MAX_PICTURES', 2)
    path, added = png(tmp_path / 'a.png', noise), Pictures(10**6)
    made = [added.figure(path, str(i)) for i in range(30)]
    assert sum(figure is not None for figure in made) == 2
    assert 'a page has at most 2 pictures' in added.left_out['7']
    assert '16 more' in added.remark()


def gif(path, frames, **options):
    first, *others = map(Image.fromarray, frames)
    first.save(path, 'GIF', save_all=True, append_images=others, **options)
    return path


def test_an_animation_keeps_its_frames_and_times(tmp_path):
    frames = [np.full((20, 30), 60 * i, np.uint8) for i in range(4)]
    path = gif(tmp_path / 'a.gif', frames, duration=[100, 200, 300, 400])
    figure = Pictures(10**6).figure(path, 'walk')
    data = re.search(r'src="data:image/gif;base64,([^"]+)"', figure)[1]
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert image.n_frames == 4
    for i in range(4):
        image.seek(i)
        assert image.info['duration'] == 100 * (i + 1)
        assert abs(int(np.asarray(image.convert('L'))[5, 5]) - 60 * i) <= 2


def test_animations_are_bounded(tmp_path, noise, monkeypatch):
    frames = [np.roll(noise, i) for i in range(5)]
    path = gif(tmp_path / 'a.gif', frames)
    added = Pictures(10**6)
    monkeypatch.setattr(pictures, 'MAX_ANIMATION', 8_000)
    assert 'width="270"' in added.figure(path, 'smaller')  # a part of its size, enlarged
    monkeypatch.setattr(pictures, 'MAX_ANIMATION', 100)
    assert added.figure(path, 'bytes') is None
    monkeypatch.setattr(pictures, 'MAX_FRAMES', 4)
    assert added.figure(path, 'frames') is None
    (tmp_path / 'b.gif').write_bytes(png(tmp_path / 'b.png', noise).read_bytes())
    assert added.figure(tmp_path / 'b.gif', 'kind') is None
    reasons = [added.left_out[name] for name in ('bytes', 'frames', 'kind')]
    for reason, part in zip(
        reasons, ('even at a third', 'more than 4 frames', 'no GIF'), strict=True
    ):
        assert part in reason
