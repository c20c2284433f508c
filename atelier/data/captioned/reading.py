"""Reads pictures of coloured shapes, also noisy or generated ones, from their pixels alone.

An object is a connected set of bright pixels. For each shape, size and position, a flat colour is
fitted to it by least squares. The best fit gives all that is read; the nearest colour is the one
that is read.
"""

import numpy as np
from jaxtyping import Bool, Float, Int, Real

from atelier.data.captioned.drawing import templates
from atelier.data.captioned.scenes import COLOURS, SIDE, Object, Scene

BRIGHT = 102  # levels: pixels whose largest channel is above this belong to an object
MIN_PIXELS = 5  # bright pixels of an object; the smallest one that is drawn has 9
MIN_FIT = 0.8  # share of the squares of an object's values that its best fit explains, at least
MAX_DISTANCE = 127.5  # between a fitted colour and its name: half of that between two names


def read(x: Real[np.ndarray, 'n 16 16 3']) -> list[Scene]:
    """Returns the objects of each picture, in the order of their last pixels.

    An object of another colour has None as its colour, and one that fits no shape has None as its
    shape and its size.

    Args:
      x: levels from 0 to 255, as integers or real values; a little outside is no harm.
    """
    index, objects = _objects(np.asarray(x, np.float32))
    scenes = [[] for _ in range(len(x))]
    for i, each in zip(index, _fitted(objects), strict=True):
        scenes[i].append(each)
    return [tuple(scene) for scene in scenes]


def _objects(
    x: Float[np.ndarray, 'n 16 16 3'],
) -> tuple[Int[np.ndarray, 'objects'], Float[np.ndarray, 'objects 16 16 3']]:
    """Returns the picture of each object, black elsewhere, and the index of the one it is from.

    An object has the pixels around its bright ones too, because edges are darker.
    """
    label = components(x.max(-1) > BRIGHT)
    picture, row, column = np.nonzero(label)
    sets = np.stack([picture, label[picture, row, column]], 1)
    sets, counts = np.unique(sets, axis=0, return_counts=True)
    index, number = sets[counts >= MIN_PIXELS].T
    region = _largest_nearby((label[index] == number[:, None, None]).astype(label.dtype)) > 0
    return index, np.where(region[..., None], x[index], np.float32(0))


def components(is_bright: Bool[np.ndarray, 'n 16 16']) -> Int[np.ndarray, 'n 16 16']:
    """Returns 0 for dark pixels, and a number for all pixels of a connected set of bright ones.

    Pixels are connected to their eight neighbours. The numbers of a picture ascend with the last
    pixel of each set.
    """
    number = np.arange(1, SIDE * SIDE + 1, dtype=np.int16).reshape(SIDE, SIDE)
    label, before = np.where(is_bright, number, np.int16(0)), None
    while before is None or (label != before).any():
        before, label = label, np.where(is_bright, _largest_nearby(label), np.int16(0))
    return label


def _largest_nearby(values: Int[np.ndarray, 'n 16 16']) -> Int[np.ndarray, 'n 16 16']:
    """Returns the largest value, at least 0, of each pixel and its eight neighbours."""
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1)))
    rows = np.maximum(np.maximum(padded[:, :-2], padded[:, 1:-1]), padded[:, 2:])
    return np.maximum(np.maximum(rows[..., :-2], rows[..., 1:-1]), rows[..., 2:])


def _fitted(objects: Float[np.ndarray, 'objects 16 16 3']) -> list[Object]:
    """Returns the best fit to each object."""
    names, covered = templates()
    length = np.linalg.norm(covered, axis=1, keepdims=True)
    values = np.moveaxis(objects.reshape(-1, SIDE * SIDE, 3), 2, 1)  # [objects, rgb, pixels]
    along = values.reshape(-1, SIDE * SIDE) @ (covered / length).T
    along = along.reshape(len(objects), 3, len(names))
    best = np.sum(along**2, 1).argmax(1)
    along = along[np.arange(len(best)), :, best]  # [objects, rgb]
    fit = np.sum(along**2, 1) / np.sum(values**2, (1, 2))
    colours = _nearest(along / length[best])
    found = []
    for k, colour, share in zip(best, colours, fit, strict=True):
        shape, size, left, top = names[k]
        form = (shape, size) if share >= MIN_FIT else (None, None)
        found.append(Object(colour, *form, left, top))
    return found


def _nearest(colours: Float[np.ndarray, 'n 3']) -> list[str | None]:
    """Returns the name of the nearest colour of each; None if it is far."""
    names, known = [*COLOURS], np.array([*COLOURS.values()])
    distances = np.linalg.norm(colours[:, None] - known, axis=2)
    nearest = zip(distances.argmin(1), distances.min(1), strict=True)
    return [names[k] if distance < MAX_DISTANCE else None for k, distance in nearest]
