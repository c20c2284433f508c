"""JPEG coding of a set of images: their size without headers, and the decoded images."""

import io
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from atelier.evaluation.compression.mosaic import Images, Mosaic, mosaic, per_mosaic, tiles_of

SUBSAMPLING = {'4:4:4': 8, '4:2:0': 16}  # chroma subsampling: side of a coded block, in pixels


class JpegImages(NamedTuple):
    """Images after JPEG coding.

    quality: Pillow's quality setting, 1 to 95.
    subsampling: chroma subsampling; '4:4:4' for grey images.
    bytes_per_image: size of the entropy-coded data alone.
    x: decoded images, uint8 [n, height, width, channels].
    """

    quality: int
    subsampling: str
    bytes_per_image: float
    x: np.ndarray


def coded(x: Images, qualities: range) -> Iterator[JpegImages]:
    """Codes images of 1 or 3 channels at each quality; colour images also with chroma subsampling.

    Images are the tiles of a mosaic. Each tile is padded to whole transform blocks by repeating its
    last row and column, so that no block belongs to two tiles. Headers and tables are needed once
    per set of images. They are not counted, because they would dominate the size of small images.

    The bytes are those of the mosaic. A decoder smooths subsampled chroma, and would do so across
    the borders of tiles, so the pixels of 4:2:0 are those of each tile coded alone.
    """
    for name, block in SUBSAMPLING.items():
        if name == '4:2:0' and x.shape[-1] == 1:
            continue
        for quality in qualities:
            yield _coded(x, quality, name, block)


def _coded(x: Images, quality: int, subsampling: str, block: int) -> JpegImages:
    n, height, width, channels = x.shape
    padding = [(0, -size % block) for size in (height, width)]
    tiles = np.pad(x, [(0, 0), *padding, (0, 0)], mode='edge')
    count = per_mosaic(tiles)
    total, parts = 0, []
    for first in range(0, n, count):
        size, part = _through_jpeg(tiles[first : first + count], quality, subsampling)
        total += size
        parts.append(part[:, :height, :width])
    return JpegImages(quality, subsampling, total / n, np.concatenate(parts))


def _through_jpeg(tiles: Images, quality: int, subsampling: str) -> tuple[int, Images]:
    """Returns (entropy-coded bytes of the tiles' mosaic, decoded tiles)."""
    n, height, width, _ = tiles.shape
    size, decoded = _coded_image(mosaic(tiles), quality, subsampling)
    if subsampling == '4:2:0':
        return size, np.stack([_coded_image(tile, quality, subsampling)[1] for tile in tiles])
    return size, tiles_of(decoded, n, height, width)


def _coded_image(image: Mosaic, quality: int, subsampling: str) -> tuple[int, Mosaic]:
    """Returns (entropy-coded bytes, decoded image)."""
    from PIL import Image  # imported here, as in `image_grids`: most runs do not need it

    options = dict(format='JPEG', quality=quality, optimize=True)
    if image.shape[-1] == 3:
        options['subsampling'] = subsampling
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, **options)
    return scan_bytes(file.getvalue()), np.asarray(Image.open(file)).reshape(image.shape)


def scan_bytes(file: bytes) -> int:
    """Returns the number of entropy-coded bytes in a baseline JPEG file (ITU-T T.81, annex B).

    Raises:
      ValueError: the file has no scan.
    """
    offset = 2  # after the start-of-image marker
    while file[offset : offset + 1] == b'\xff':
        marker, length = file[offset + 1], int.from_bytes(file[offset + 2 : offset + 4], 'big')
        offset += 2 + length
        if marker == 0xDA:  # start of scan; the file ends with the end-of-image marker
            return len(file) - offset - 2
    raise ValueError('no scan in this JPEG file')
