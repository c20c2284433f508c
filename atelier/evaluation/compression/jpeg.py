"""What JPEG makes of a set of images: bytes and pictures, headers apart."""

import io
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from atelier.evaluation.compression.mosaic import Images, mosaic, per_mosaic, tiles_of

SUBSAMPLING = {'4:4:4': 8, '4:2:0': 16}  # of colours, and the pixels that are coded as one


class JpegImages(NamedTuple):
    """Images after JPEG.

    quality: 1 to 95, as Pillow takes it.
    subsampling: of colours; of grey images '4:4:4'.
    bytes_per_image: of the entropy-coded part alone.
    x: uint8 [n, height, width, channels].
    """

    quality: int
    subsampling: str
    bytes_per_image: float
    x: np.ndarray


def coded(x: Images, qualities: range) -> Iterator[JpegImages]:
    """Images of 1 or 3 channels at each quality; in colour, with and without subsampling.

    All images are tiles of one mosaic, each grown by copies of its last row and column to whole
    blocks of the transform, so that no block belongs to two of them; only the decoder smooths
    subsampled colours across the border of two tiles. Headers and tables, which a set of images
    needs once, are not counted: of small images they would be most.
    """
    for name, block in SUBSAMPLING.items():
        if name == '4:2:0' and x.shape[-1] == 1:
            continue
        for quality in qualities:
            yield _coded(x, quality, name, block)


def _coded(x: Images, quality: int, subsampling: str, block: int) -> JpegImages:
    n, height, width, channels = x.shape
    growth = [(0, -size % block) for size in (height, width)]
    tiles = np.pad(x, [(0, 0), *growth, (0, 0)], mode='edge')
    many = per_mosaic(tiles)
    total, parts = 0, []
    for first in range(0, n, many):
        size, part = _through_jpeg(tiles[first : first + many], quality, subsampling)
        total += size
        parts.append(part[:, :height, :width])
    return JpegImages(quality, subsampling, total / n, np.concatenate(parts))


def _through_jpeg(tiles: Images, quality: int, subsampling: str) -> tuple[int, Images]:
    """(bytes of the mosaic of the tiles, the tiles after it)."""
    from PIL import Image  # not at import, as in `pictures`

    n, height, width, channels = tiles.shape
    options = dict(format='JPEG', quality=quality, optimize=True)
    if channels == 3:
        options['subsampling'] = subsampling
    image, file = mosaic(tiles), io.BytesIO()
    Image.fromarray(image[..., 0] if channels == 1 else image).save(file, **options)
    after = np.asarray(Image.open(file)).reshape(image.shape)
    return scan_bytes(file.getvalue()), tiles_of(after, n, height, width)


def scan_bytes(file: bytes) -> int:
    """Of a baseline JPEG file, how many bytes are entropy-coded data (ITU-T T.81, annex B).

    Raises:
      ValueError: it is none.
    """
    place = 2  # behind the marker of the start of the image
    while file[place : place + 1] == b'\xff':
        marker, length = file[place + 1], int.from_bytes(file[place + 2 : place + 4], 'big')
        place += 2 + length
        if marker == 0xDA:  # start of scan; the file ends in the marker of the image's end
            return len(file) - place - 2
    raise ValueError('no scan in this JPEG file')
