"""Images side by side in one, so that a file format's headers are counted once."""

import math

import numpy as np
from jaxtyping import UInt8

MOST_PIXELS = 2**24  # of a mosaic: memory, and formats know no sides above some 16,000

Images = UInt8[np.ndarray, 'n height width channels']
Mosaic = UInt8[np.ndarray, 'rows columns channels']


def mosaic(tiles: Images) -> Mosaic:
    """About as many tiles a row as there are rows, empty ones behind the last."""
    n, height, width, channels = tiles.shape
    columns = math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    filled = np.concatenate([tiles, np.zeros((rows * columns - n, *tiles.shape[1:]), np.uint8)])
    grid = filled.reshape(rows, columns, height, width, channels)
    return grid.swapaxes(1, 2).reshape(rows * height, columns * width, channels)


def tiles_of(image: Mosaic, n: int, height: int, width: int) -> Images:
    """The inverse of `mosaic`."""
    rows, columns = image.shape[0] // height, image.shape[1] // width
    grid = image.reshape(rows, height, columns, width, -1)
    return grid.swapaxes(1, 2).reshape(rows * columns, height, width, -1)[:n]


def per_mosaic(tiles: Images) -> int:
    """How many of these tiles make one."""
    return max(1, MOST_PIXELS // tiles[0, ..., 0].size)
