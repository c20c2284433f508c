"""What JPEG makes of a set of images: bytes and pictures, headers apart."""

import io
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

MOST_PIXELS = 2**24  # of a mosaic; memory, and JPEG knows no side above 65,535
SUBSAMPLING = {'4:4:4': 8, '4:2:0': 16}  # of colours, and the pixels that are coded as one

Images = UInt8[np.ndarray, 'n height width channels']


class Coded(NamedTuple):
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


def coded(x: Images, qualities: range) -> Iterator[Coded]:
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


def _coded(x: Images, quality: int, subsampling: str, block: int) -> Coded:
    n, height, width, channels = x.shape
    growth = [(0, -size % block) for size in (height, width)]
    tiles = np.pad(x, [(0, 0), *growth, (0, 0)], mode='edge')
    per_mosaic = max(1, MOST_PIXELS // tiles[0, ..., 0].size)
    total, parts = 0, []
    for first in range(0, n, per_mosaic):
        size, part = _through_jpeg(tiles[first : first + per_mosaic], quality, subsampling)
        total += size
        parts.append(part[:, :height, :width])
    return Coded(quality, subsampling, total / n, np.concatenate(parts))


def _through_jpeg(tiles: Images, quality: int, subsampling: str) -> tuple[int, Images]:
    """(bytes of the mosaic of the tiles, the tiles after it)."""
    from PIL import Image  # not at import, as in `pictures`

    n, height, width, channels = tiles.shape
    columns = math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    filled = np.concatenate([tiles, np.zeros((rows * columns - n, *tiles.shape[1:]), np.uint8)])
    grid = filled.reshape(rows, columns, height, width, channels)
    mosaic = grid.swapaxes(1, 2).reshape(rows * height, columns * width, channels)
    options = dict(format='JPEG', quality=quality, optimize=True)
    if channels == 3:
        options['subsampling'] = subsampling
    file = io.BytesIO()
    Image.fromarray(mosaic[..., 0] if channels == 1 else mosaic).save(file, **options)
    after = np.asarray(Image.open(file)).reshape(rows, height, columns, width, channels)
    return scan_bytes(file.getvalue()), after.swapaxes(1, 2).reshape(filled.shape)[:n]


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
