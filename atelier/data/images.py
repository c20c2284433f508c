"""Decodes an image, from a file or its bytes, to a uint8 array of a given shape."""

import contextlib
import io
import pathlib
from collections.abc import Iterator

import numpy as np

from atelier.errors import UserError

# no EPS: Pillow would pass such a file, whatever its name, to the program Ghostscript
FORMATS = ('PNG', 'JPEG', 'BMP', 'GIF', 'WEBP', 'TIFF', 'PPM')
LEVELS = 256  # of a channel of a decoded image
MAX_PIXELS = 1 << 26  # per image: 8192 x 8192 are 200 MB in colour
GREY_MODES = ('1', 'L', 'LA', 'La')
COLOUR_MODES = ('RGB', 'RGBA', 'RGBa', 'RGBX', 'P', 'PA', 'CMYK', 'YCbCr', 'HSV', 'LAB')


def decode(
    name: str, raw: bytes | pathlib.Path, shape: tuple[int, int, int], resize: bool
) -> np.ndarray:
    """Returns one image as uint8 [height, width, channels]; transparent parts become white.

    With `resize`, the largest centred crop of the shape's aspect ratio is scaled to the shape.

    Raises:
      UserError: names the image and says what is wrong with it.
    """
    height, width, channels = shape
    with _opened(name, raw) as (image, is_grey):
        if is_grey and channels == 3:
            raise UserError(
                f'{name} is grey, not colour: set config.data.image_shape={height},{width},1 '
                'to read both kinds as grey'
            )
        if resize:  # a JPEG is decoded at a reduced size: at least twice the target, to scale well
            image.draft(image.mode, (2 * max(height, width),) * 2)
        image = _flat(image, 'L' if channels == 1 else 'RGB')
        if resize:
            image = _centre(image, width, height)
        if (image.height, image.width) != (height, width):
            raise UserError(
                f'{name} is {image.height}x{image.width} and others are {height}x{width}: '
                f'set config.data.image_shape={height},{width},{channels} to scale all to one shape'
            )
        return np.asarray(image).reshape(shape)


def shape_of(name: str, raw: bytes | pathlib.Path) -> tuple[int, int, int]:
    """Returns (height, width, channels) of an image before any resizing.

    Raises:
      UserError: as `decode`.
    """
    with _opened(name, raw) as (image, is_grey):
        image = _upright(image)
        return image.height, image.width, 1 if is_grey else 3


@contextlib.contextmanager
def _opened(name: str, raw: bytes | pathlib.Path) -> Iterator[tuple]:
    """Opens an image, tells if it is grey; errors in the with block become UserErrors naming it."""
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
            if image.mode not in GREY_MODES + COLOUR_MODES:
                raise UserError(f'{name} has pixels of kind {image.mode}: convert it to 8 bits')
            yield image, image.mode in GREY_MODES
    except UserError:
        raise
    except UnidentifiedImageError as error:
        known = ', '.join(FORMATS)
        raise UserError(f'{name} is not an image in a known format ({known})') from error
    except Exception as error:  # formats raise errors of many types
        reason = ' '.join(str(error).split())[:200] or type(error).__name__
        raise UserError(f'cannot read the image {name}: {reason}') from error


def _upright(image):
    """Applies the EXIF orientation."""
    from PIL import ImageOps

    return ImageOps.exif_transpose(image)


def _flat(image, mode: str):
    """Converts the image to `mode`, with transparent parts on white."""
    from PIL import Image

    image = _upright(image)
    if image.mode in ('RGBA', 'RGBa', 'LA', 'La', 'PA') or 'transparency' in image.info:
        image = image.convert('RGBA')
        image = Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image)
    return image.convert(mode)


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
