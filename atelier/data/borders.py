"""The background of pictures: what most of their border is."""

import numpy as np

from atelier.data import kinds
from atelier.data.spec import Spec

BORDER_EXAMPLES = 200  # whose border decides


def background(x: np.ndarray, shape: tuple[int, int, int]) -> tuple[float, ...] | None:
    """Returns the value, by channel, of at least half of the border pixels of the first pictures.

    Args:
      x: stored pictures [n, *event].
      shape: (height, width, channels).

    Returns:
      None if no value is that of so many.
    """
    images = np.asarray(x[:BORDER_EXAMPLES]).reshape(-1, *shape)
    sides = images[:, [0, -1]], images[:, 1:-1, [0, -1]]
    border = np.concatenate([side.reshape(-1, shape[2]) for side in sides])
    if not len(border):
        return None
    values, counts = np.unique(border, axis=0, return_counts=True)
    is_background = 2 * counts.max() >= len(border)
    return tuple(map(float, values[counts.argmax()])) if is_background else None


def with_background(spec: Spec, x: np.ndarray, stored_levels: int | None) -> Spec:
    """Returns `spec` with the background of its training pictures; unchanged for other data.

    It is one of the levels of the Spec, which are fewer than those of x if these are binarised.

    Args:
      spec: of the data, before noise is added to the levels.
      x: stored training examples [n, *event].
      stored_levels: number of levels of these; None: they are real, and have no background.
    """
    if stored_levels is None or spec.image_shape is None or kinds.kind_of(spec) != kinds.IMAGES:
        return spec
    stored = background(x, spec.image_shape)
    if stored is None:
        return spec
    highest, most = max(stored_levels - 1, 1), max(spec.levels - 1, 1)
    return spec._replace(background=tuple(round(v / highest * most) / most for v in stored))
