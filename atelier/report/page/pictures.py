"""Pictures in a page: decoded and written again, within the bytes that are left."""

import base64
import contextlib
import io
import math
import pathlib
from typing import Any, NamedTuple

import numpy as np

from atelier import files
from atelier.data import images
from atelier.errors import UserError, shortened_text
from atelier.log import counted
from atelier.report.page.html import Html, element, note, text_of

MAX_FILE = 1 << 25  # bytes of a file that is read
MAX_PIXELS = 1 << 24  # of a picture that is decoded: 4096 x 4096
MAX_ENCODED = 300_000  # bytes of a picture in the page
LARGE_PNG = 100_000  # bytes from which a JPEG is tried
JPEG_SAVES = 0.6  # a JPEG is used if it has at most this share of the bytes of the PNG
SIZES = (1600, 1100, 750)  # longest sides that are tried, largest first
JPEG_QUALITY = 88
MAX_FRAMES = 200  # of an animation
MAX_FRAME_PIXELS = 1 << 25  # of all its frames together
MAX_ANIMATION = 500_000  # bytes of it in the page
MAX_PICTURES = 60  # that are decoded
MAX_NAMED = 12  # pictures left out that are named
WIDE = 640  # pixels from which a picture takes the whole width of the page
LEAST_WIDTH = 260  # at which a picture is shown; smaller ones are enlarged


class Encoded(NamedTuple):
    """A picture as it stands in a page: its type, its bytes, and its size in pixels."""

    kind: str
    raw: bytes
    width: int
    height: int


class Pictures:
    """Adds pictures to a page as long as their bytes fit, and remembers which are left out."""

    def __init__(self, budget: int):
        """`budget` is the number of bytes of HTML that pictures may add; 0: nothing is read."""
        self._budget, self._num_read = budget, 0
        self.left_out: dict[str, str] = {}  # reason by name

    def figure(
        self,
        path: pathlib.Path,
        name: str,
        *caption: Any,
        width: int = LEAST_WIDTH,
    ) -> Html | None:
        """Returns a picture with its caption, or None if it is left out.

        Args:
          path: of the file.
          name: of the picture, for readers who do not see it and for the list of those left out.
          caption: texts and elements below it.
          width: at which a smaller picture is shown, about.
        """
        if self._budget <= 0:
            return self._leave_out(name, 'the page is full')
        if self._num_read >= MAX_PICTURES:
            return self._leave_out(name, f'a page has at most {MAX_PICTURES} pictures')
        self._num_read += 1
        try:
            encoded = encode_animation(path) if path.suffix == '.gif' else encode(path)
        except (OSError, UserError) as error:
            return self._leave_out(name, _reason(error))
        is_wide = encoded.width >= WIDE
        image = _image(encoded, name, width)
        figure = element(
            'figure',
            _zoomed(image) if is_wide else image,
            element('figcaption', *caption),
            class_='picture wide' if is_wide else 'picture',
        )
        if len(figure.encode()) > self._budget:
            return self._leave_out(name, 'the page is full')
        self._budget -= len(figure.encode())
        return figure

    def _leave_out(self, name: str, reason: str) -> None:
        self.left_out[name] = reason

    def remark(self) -> Html | None:
        """Returns which pictures were left out and why, or None if none was."""
        if not self.left_out:
            return None
        names = [*self.left_out]
        listed = [f'{name} ({self.left_out[name]})' for name in names[:MAX_NAMED]]
        more = len(names) - MAX_NAMED
        listed += [f'{more:,} more'] if more > 0 else []
        return note('Left out: ', text_of(', '.join(listed), 2_000))


def _reason(error: Exception) -> str:
    """Returns why a picture cannot be read."""
    is_own = isinstance(error, UserError)
    return shortened_text(
        str(error) if is_own else getattr(error, 'strerror', None) or 'unreadable'
    )


def encode(path: pathlib.Path) -> Encoded:
    """Decodes a picture and writes it as a PNG or a JPEG of at most `MAX_ENCODED` bytes.

    The bytes of the file itself never reach the page.

    Raises:
      UserError: it is no picture, or too large.
      OSError: it cannot be read.
    """
    raw = _bytes_of(path)
    height, width = images.size_of(path.name, raw)
    if height * width > MAX_PIXELS:
        raise UserError(f'it has {width:,} x {height:,} pixels')
    height, width, channels = images.shape_of(path.name, raw)
    for longest in SIZES:
        scale = min(1.0, longest / max(height, width))
        shape = (max(1, round(scale * height)), max(1, round(scale * width)), channels)
        is_smaller = shape[:2] != (height, width)
        encoded = _encoded(images.picture(path.name, raw, shape, resize=is_smaller).x)
        if len(encoded.raw) <= MAX_ENCODED:
            return encoded
    raise UserError(f'it has {len(encoded.raw):,} bytes even at {longest} pixels')


def encode_animation(path: pathlib.Path) -> Encoded:
    """Decodes an animation and writes it as a GIF of at most `MAX_ANIMATION` bytes.

    Raises:
      UserError: it is no GIF, or too large.
      OSError: it cannot be read.
    """
    with images.opened(path.name, _bytes_of(path)) as (image, _):
        if image.format != 'GIF':
            raise UserError('it is no GIF')
        frames, times = _frames(image)
    for scale in (1, 2, 3):
        size = (max(1, frames[0].width // scale), max(1, frames[0].height // scale))
        first, *others = (frame.resize(size) if scale > 1 else frame for frame in frames)
        file = io.BytesIO()
        options = dict(save_all=True, append_images=others, loop=0, optimize=True)
        first.save(file, 'GIF', duration=times if others else times[0], **options)
        if len(file.getvalue()) <= MAX_ANIMATION:
            return Encoded('gif', file.getvalue(), *size)
    raise UserError(f'it has {len(file.getvalue()):,} bytes even at a third of its size')


def _frames(image) -> tuple[list, list[int]]:
    """Returns the frames of an animation, and the milliseconds of each."""
    most = min(MAX_FRAMES, MAX_FRAME_PIXELS // (image.width * image.height))
    frames, times = [], []
    with contextlib.suppress(EOFError):  # after the last one; their number is not known before
        while True:
            image.seek(len(frames))
            if len(frames) >= most:
                raise UserError(f'it has more than {counted(most, "frame")}')
            frames.append(image.convert('RGB'))
            times.append(image.info.get('duration', 100))
    return frames, times


def _bytes_of(path: pathlib.Path) -> bytes:
    with files.open_regular(path) as file:
        raw = file.read(MAX_FILE + 1)
    if len(raw) > MAX_FILE:
        raise UserError(f'it has more than {MAX_FILE:,} bytes')
    return raw


def _encoded(x: np.ndarray) -> Encoded:
    from PIL import Image  # imported here: a page without pictures does not need it

    height, width = x.shape[:2]
    image = Image.fromarray(x[..., 0] if x.shape[-1] == 1 else x)
    png, jpeg = io.BytesIO(), io.BytesIO()
    image.save(png, 'PNG', optimize=True)
    raw = png.getvalue()
    if len(raw) > LARGE_PNG:
        image.save(jpeg, 'JPEG', quality=JPEG_QUALITY, optimize=True)
        if len(jpeg.getvalue()) <= JPEG_SAVES * len(raw):
            return Encoded('jpeg', jpeg.getvalue(), width, height)
    return Encoded('png', raw, width, height)


def _zoomed(image: Html) -> Html:
    """Returns an image that a tap shows at full size, in a frame that scrolls; without a script."""
    choice = element('input', type='checkbox', class_='zoom', aria_label='full size')
    return element('label', choice, element('span', image, class_='frame', tabindex=0))


def _image(picture: Encoded, name: str, least_width: int) -> Html:
    """Returns the element; a small picture is enlarged by a whole number, with sharp pixels."""
    factor = max(1, math.ceil(least_width / picture.width))
    data = base64.b64encode(picture.raw).decode()
    return element(
        'img',
        src=Html(f'data:image/{picture.kind};base64,{data}'),
        alt=name,
        width=factor * picture.width,
        height=factor * picture.height,
        class_='pixels' if factor > 1 else None,
    )
