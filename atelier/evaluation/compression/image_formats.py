"""File sizes of a set of images as PNG and lossless WebP."""

import io
from collections.abc import Callable, Iterator

import numpy as np

from atelier.evaluation.compression.mosaic import Images, mosaic, per_mosaic

OPTIONS = {  # the settings with which Pillow writes the smallest files
    'PNG': dict(format='PNG', optimize=True),
    'WebP': dict(format='WEBP', lossless=True, quality=100, method=6, exact=True),
}


def bytes_of(x: Images, levels: int) -> dict[str, dict[str, float]]:
    """Returns bytes per image by format: 'together' if in mosaics, 'apart' if each in its own file.

    Levels are written unscaled. Grey images with two levels take one bit per pixel in PNG. Headers
    are counted: they are most of a small image's file, but a mosaic has only one header.

    Args:
      x: images of 1 or 3 channels, with values 0..levels - 1.
      levels: number of levels, at most 256.
    """
    return {
        name: {
            'together': sum(map(of_format(options, levels), _mosaics(x))) / len(x),
            'apart': sum(map(of_format(options, levels), x)) / len(x),
        }
        for name, options in OPTIONS.items()
    }


def of_format(options: dict, levels: int) -> Callable[[np.ndarray], int]:
    """Returns a function: image [height, width, channels] -> file size in bytes."""

    def size(image: np.ndarray) -> int:
        return len(written(image, levels, options))

    return size


def written(image: np.ndarray, levels: int, options: dict) -> bytes:
    """Returns the file of an image [height, width, channels], written with Pillow's `options`."""
    from PIL import Image  # imported here, as in `image_grids`: most runs do not need it

    pixels = image[..., 0] if image.shape[-1] == 1 else image
    if levels == 2 and pixels.ndim == 2:
        pil_image = Image.fromarray(pixels * np.uint8(255)).convert('1')
    else:
        pil_image = Image.fromarray(pixels)
    file = io.BytesIO()
    pil_image.save(file, **options)
    return file.getvalue()


def _mosaics(x: Images) -> Iterator[np.ndarray]:
    count = per_mosaic(x)
    for first in range(0, len(x), count):
        yield mosaic(x[first : first + count])
