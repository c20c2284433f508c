"""Images tiled into one mosaic, so that a file format's headers are counted once."""

import math

import numpy as np
from jaxtyping import UInt8

# largest number of pixels in a mosaic, to save memory; formats limit its sides to about 16,000
MAX_PIXELS = 2**24

Images = UInt8[np.ndarray, 'n height width channels']
Mosaic = UInt8[np.ndarray, 'rows columns channels']


def mosaic(tiles: Images) -> Mosaic:
    """Tiles images in a nearly square grid, row by row, padded with zeros."""
    n, height, width, channels = tiles.shape
    columns = math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    padded = np.concatenate([tiles, np.zeros((rows * columns - n, *tiles.shape[1:]), np.uint8)])
    grid = padded.reshape(rows, columns, height, width, channels)
    return grid.swapaxes(1, 2).reshape(rows * height, columns * width, channels)


def tiles_of(image: Mosaic, n: int, height: int, width: int) -> Images:
    """Returns the n tiles of a mosaic: the inverse of `mosaic`."""
    rows, columns = image.shape[0] // height, image.shape[1] // width
    grid = image.reshape(rows, height, columns, width, -1)
    return grid.swapaxes(1, 2).reshape(rows * columns, height, width, -1)[:n]


def per_mosaic(tiles: Images) -> int:
    """Returns the maximum number of these tiles per mosaic, at least 1."""
    return max(1, MAX_PIXELS // tiles[0, ..., 0].size)
