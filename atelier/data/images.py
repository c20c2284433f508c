"""Decodes an image, from a file or its bytes, to a uint8 array of a given shape."""

import contextlib
import io
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from atelier.errors import UserError

# no EPS: Pillow would pass such a file, whatever its name, to the program Ghostscript
FORMATS = ('PNG', 'JPEG', 'BMP', 'GIF', 'WEBP', 'TIFF', 'PPM')
LEVELS = 256  # of a channel of a decoded image
MAX_PIXELS = 1 << 26  # per image: 8192 x 8192 are 200 MB in colour
GREY_MODES = ('1', 'L', 'LA', 'La', 'I;16', 'I;16B', 'I;16L', 'I;16N')
COLOUR_MODES = ('RGB', 'RGBA', 'RGBa', 'RGBX', 'P', 'PA', 'CMYK', 'YCbCr', 'HSV', 'LAB')
SIXTEEN = ('PNG', 'PPM')  # formats whose pixels of 32 bits, mode I, hold 16 bits
ORIENTATION = 0x112  # tag of EXIF
TIFF_BITS = 258  # tag of a TIFF: bits of each value


class Picture(NamedTuple):
    """A decoded image.

    x: uint8 [height, width, channels].
    changes: what was changed, apart from the size, as a reader of the log understands it.
    """

    x: np.ndarray
    changes: tuple[str, ...]


def decode(
    name: str, raw: bytes | pathlib.Path, shape: tuple[int, int, int], resize: bool
) -> np.ndarray:
    """Returns the array of `picture`, and raises its errors."""
    return picture(name, raw, shape, resize).x


def picture(
    name: str, raw: bytes | pathlib.Path, shape: tuple[int, int, int], resize: bool
) -> Picture:
    """Decodes one image, and converts it to the channels of `shape`.

    Grey becomes colour with three equal channels; colour becomes grey by ITU-R 601-2. Transparent
    parts are put on white. Of 16 bits, the high byte is kept, as Pillow, OpenCV and torchvision do:
    the full range becomes 0 to 255, rounded down. Of several pages or frames, the first is used.

    With `resize`, the largest centred crop of the shape's aspect ratio is scaled to the shape.

    Raises:
      UserError: names the image and says what is wrong with it.
    """
    height, width, channels = shape
    with opened(name, raw) as (image, is_grey):
        changes = _changes(image, is_grey, channels)
        if resize:  # a JPEG is decoded at a reduced size: at least twice the target, to scale well
            image.draft(image.mode, (2 * max(height, width),) * 2)
        image, is_transparent = _flat(image, 'L' if channels == 1 else 'RGB')
        if is_transparent:
            changes += ('transparent (put on white)',)
        if resize:
            image = _centre(image, width, height)
        if (image.height, image.width) != (height, width):
            raise UserError(
                f'{name} is {image.height}x{image.width} and others are {height}x{width}: '
                f'set config.data.image_shape={height},{width},{channels} to scale all to one shape'
            )
        return Picture(np.asarray(image).reshape(shape), changes)


def shape_of(name: str, raw: bytes | pathlib.Path) -> tuple[int, int, int]:
    """Returns (height, width, channels) of an image before any resizing.

    Raises:
      UserError: as `decode`.
    """
    with opened(name, raw) as (image, is_grey):
        if image.format == 'TIFF':  # versions of Pillow differ in the size before decoding
            image.load()
        elif image.getexif().get(ORIENTATION, 1) >= 5:  # turned by a quarter
            return image.width, image.height, 1 if is_grey else 3
        return image.height, image.width, 1 if is_grey else 3


def _changes(image, is_grey: bool, channels: int) -> tuple[str, ...]:
    """Returns what will be changed in an image that was opened and is not decoded yet."""
    changes = []
    if is_grey != (channels == 1):
        changes.append('grey (made colour)' if is_grey else 'colour (made grey)')
    if image.mode in ('CMYK', 'HSV', 'LAB'):
        changes.append(f'{image.mode} (made RGB)')
    if _has_16_bits(image):
        changes.append('16-bit (cut to their high byte)')
    if getattr(image, 'n_frames', 1) > 1:
        changes.append('of several pages or frames (only the first is used)')
    return tuple(changes)


def _has_16_bits(image) -> bool:
    if image.mode == 'I' or image.mode.startswith('I;16'):
        return True
    # not BGR;16, which is a BMP of 16 bits for all three colours
    return any(';16' in str(tile[3]) and 'BGR' not in str(tile[3]) for tile in image.tile)


def size_of(name: str, raw: bytes | pathlib.Path) -> tuple[int, int]:
    """Returns the height and the width that an image declares; it is not decoded.

    Raises:
      UserError: as `decode`.
    """
    with opened(name, raw) as (image, _):
        return image.height, image.width


@contextlib.contextmanager
def opened(name: str, raw: bytes | pathlib.Path) -> Iterator[tuple]:
    """Opens an image without decoding it: yields Pillow's image, and whether it is grey.

    Raises:
      UserError: as `decode`; also for an error in the with block, where the image is decoded.
    """
    from PIL import Image, UnidentifiedImageError  # imported here: most sources do not need it

    Image.MAX_IMAGE_PIXELS = None  # the limit below replaces it and raises an error
    try:
        file = io.BytesIO(raw) if isinstance(raw, bytes) else raw
        with Image.open(file, formats=FORMATS) as image:
            pixels = image.width * image.height
            if not 0 < pixels <= MAX_PIXELS:
                raise UserError(
                    f'{name} has {image.height}x{image.width} pixels: the maximum is {MAX_PIXELS:,}'
                )
            is_grey = image.mode in GREY_MODES or (image.mode == 'I' and image.format in SIXTEEN)
            if not is_grey and image.mode not in COLOUR_MODES:
                raise UserError(f'{name} has pixels of kind {image.mode}: convert it to 8 bits')
            yield image, is_grey
    except UserError:
        raise
    except UnidentifiedImageError as error:
        known = ', '.join(FORMATS)
        raise UserError(f'{name} is not an image in a known format ({known})') from error
    except Exception as error:  # formats raise errors of many types
        reason = ' '.join(str(error).split())[:200] or type(error).__name__
        raise UserError(f'cannot read the image {name}: {reason}') from error


def _flat(image, mode: str) -> tuple:
    """Converts an image to `mode`, upright, with transparent parts on white.

    Returns:
      The image, and whether it has transparent parts.
    """
    from PIL import Image, ImageOps

    transparent = image.info.get('transparency')
    has_16_bits = _has_16_bits(image)
    image = ImageOps.exif_transpose(image)
    if image.mode == 'I' or image.mode.startswith('I;16'):
        return _high_byte(image, transparent, mode)
    if has_16_bits and transparent is not None:  # of a PNG: given in 16 bits
        whole = transparent if isinstance(transparent, tuple) else (transparent,)
        high = tuple(value >> 8 for value in whole)
        image.info['transparency'] = high if len(high) > 1 else high[0]
    if image.mode not in ('RGBA', 'RGBa', 'LA', 'La', 'PA') and transparent is None:
        return image.convert(mode), False
    image = image.convert('RGBA')
    is_transparent = image.getchannel('A').getextrema()[0] < 255
    image = Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image)
    return image.convert(mode), is_transparent


def _high_byte(image, transparent: int | None, mode: str) -> tuple:
    """Does what `_flat` does for grey images of 16 bits."""
    from PIL import Image

    values = np.asarray(image).astype(np.int32)
    bits = image.tag_v2.get(TIFF_BITS, (16,))[0] if hasattr(image, 'tag_v2') else 16
    grey = np.clip(values >> (bits - 8), 0, 255).astype(np.uint8)
    is_clear = np.zeros(grey.shape, bool) if transparent is None else values == transparent
    grey[is_clear] = 255
    return Image.fromarray(grey).convert(mode), bool(is_clear.any())


def _centre(image, width: int, height: int):
    """Crops the largest centred part of this aspect ratio and scales it."""
    from PIL import Image

    if image.size == (width, height):
        return image
    scale = min(image.width / width, image.height / height)
    part = (max(1, round(scale * width)), max(1, round(scale * height)))
    left, top = (image.width - part[0]) // 2, (image.height - part[1]) // 2
    # crop first: the filter must not read pixels outside the crop
    image = image.crop((left, top, left + part[0], top + part[1]))
    return image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
