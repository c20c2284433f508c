"""What PNG and lossless WebP make of a set of images."""

import io
from collections.abc import Callable, Iterator

import numpy as np

from atelier.evaluation.compression.mosaic import Images, mosaic, per_mosaic

SMALLEST = {  # as small as Pillow can
    'PNG': dict(format='PNG', optimize=True),
    'WebP': dict(format='WEBP', lossless=True, quality=100, method=6, exact=True),
}


def bytes_of(x: Images, levels: int) -> dict[str, dict[str, float]]:
    """Bytes an image of each format: 'together' in one mosaic, and 'apart' in a file each.

    Levels are written as they are; of two levels PNG has one bit a pixel. A file of a small image
    is mostly headers, which the mosaic has once; they are counted.

    Args:
      x: of 1 or 3 channels, 0..levels - 1.
      levels: at most 256.
    """
    return {
        name: {
            'together': sum(map(of_format(options, levels), _mosaics(x))) / len(x),
            'apart': sum(map(of_format(options, levels), x)) / len(x),
        }
        for name, options in SMALLEST.items()
    }


def of_format(options: dict, levels: int) -> Callable[[np.ndarray], int]:
    """image [height, width, channels] -> the bytes of its file."""

    def size(image: np.ndarray) -> int:
        return len(written(image, levels, options))

    return size


def written(image: np.ndarray, levels: int, options: dict) -> bytes:
    """The file of an image [height, width, channels], as Pillow's `options` say."""
    from PIL import Image  # not at import, as in `pictures`

    grey = image[..., 0] if image.shape[-1] == 1 else image
    if levels == 2 and grey.ndim == 2:
        made = Image.fromarray(grey * np.uint8(255)).convert('1')
    else:
        made = Image.fromarray(grey)
    file = io.BytesIO()
    made.save(file, **options)
    return file.getvalue()


def _mosaics(x: Images) -> Iterator[np.ndarray]:
    many = per_mosaic(x)
    for first in range(0, len(x), many):
        yield mosaic(x[first : first + many])
