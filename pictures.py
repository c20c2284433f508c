"""Grids of images as PNG files."""

import math
import pathlib

import numpy as np

from datasets.dataset import Spec
from errors import writing

BORDER = 1  # pixels between two images


def is_image(spec: Spec) -> bool:
    """Whether an event is [height, width] or [height, width, 1 or 3]."""
    shape = spec.event_shape
    return len(shape) == 2 or (len(shape) == 3 and shape[-1] in (1, 3))


def grid(x: np.ndarray, spec: Spec, columns: int | None = None) -> np.ndarray:
    """Events [n, *event] in the data's units -> one image, uint8 [height, width, 1 or 3].

    Real-valued data are scaled from their smallest to their largest value.
    """
    x = np.asarray(x, np.float64).reshape(len(x), *spec.event_shape[:2], -1)
    low, high = spec.interval or (x.min(), x.max())
    x = np.clip((x - low) / max(high - low, 1e-12), 0, 1)
    n, height, width, channels = x.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    canvas = np.full(
        (rows * (height + BORDER) + BORDER, columns * (width + BORDER) + BORDER, channels), 0.5
    )
    for i, image in enumerate(x):
        top = BORDER + (i // columns) * (height + BORDER)
        left = BORDER + (i % columns) * (width + BORDER)
        canvas[top : top + height, left : left + width] = image
    return np.round(255 * canvas).astype(np.uint8)


def save(path: pathlib.Path, image: np.ndarray, min_width: int = 400) -> None:
    """Writes a PNG; a small image is enlarged by a whole factor, its pixels staying sharp."""
    from PIL import Image  # not at import: a run without pictures does not need it

    factor = max(1, math.ceil(min_width / image.shape[1]))
    image = image.repeat(factor, axis=0).repeat(factor, axis=1)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(path)
