"""Draws objects: flat colours on black, each pixel the mean of its 4x4 parts."""

import functools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from atelier.data.captioned.scenes import COLOURS, SHAPES, SIDE, SIZES, Scene

PARTS = 4  # of a pixel along each axis
ARM = 1 / 3  # width of an arm of a cross, in sizes
EDGE = 1e-6  # points on an edge are inside, despite rounding


def _circle(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return u**2 + v**2 <= 1 + EDGE


def _square(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(u), np.abs(v)) <= 1 + EDGE


def _triangle(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The tip is at the top, and the base fills the bottom."""
    return np.abs(u) <= (v + 1) / 2 + EDGE


def _cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.minimum(np.abs(u), np.abs(v)) <= ARM + EDGE


# whether (u, v) in [-1, 1]^2 lies in the shape; v grows downwards
INSIDE = {'circle': _circle, 'square': _square, 'triangle': _triangle, 'cross': _cross}


@functools.cache
def form(shape: str, size: str) -> Float[np.ndarray, 'size size']:
    """Returns the fraction of each pixel of the object's square that the object covers."""
    side = SIZES[size]
    points = 2 * (np.arange(side * PARTS) + 0.5) / (side * PARTS) - 1
    inside = INSIDE[shape](points[None], points[:, None])
    return inside.reshape(side, PARTS, side, PARTS).mean((1, 3))


def draw(scenes: Sequence[Scene]) -> UInt8[np.ndarray, 'n 16 16 3']:
    """Returns the pictures of scenes whose objects do not overlap."""
    x = np.zeros((len(scenes), SIDE, SIDE, 3), np.uint8)
    for picture, scene in zip(x, scenes, strict=True):
        for colour, shape, size, left, top in scene:
            side = SIZES[size]
            picture[top : top + side, left : left + side] = _tile(colour, shape, size)
    return x


@functools.cache
def _tile(colour: str, shape: str, size: str) -> UInt8[np.ndarray, 'size size 3']:
    return np.round(form(shape, size)[..., None] * COLOURS[colour]).astype(np.uint8)


@functools.cache
def templates() -> tuple[list[tuple[str, str, int, int]], Float[np.ndarray, 'templates 256']]:
    """Returns each (shape, size, left, top) that fits into a picture, and what it covers there."""
    names, covered = [], []
    for shape in SHAPES:
        for size, side in SIZES.items():
            for left, top in np.ndindex(SIDE - side + 1, SIDE - side + 1):
                picture = np.zeros((SIDE, SIDE), np.float32)
                picture[top : top + side, left : left + side] = form(shape, size)
                names.append((shape, size, left, top))
                covered.append(picture.ravel())
    return names, np.stack(covered)
