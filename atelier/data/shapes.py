"""Small synthetic images with known generative factors, for disentanglement.

    python main.py --config=configs/vae.py:shapes

Each combination of five factors appears once, as in dSprites (Matthey et al. 2017), but with 16x16
pixels instead of 64x64: a white shape on black. The level of a pixel, 0 to 16, is the number of
white parts among its 4x4 parts.

| factor | values |
|---|---|
| `kind` | square, ellipse, triangle: also the label |
| `x`, `y` | 8 centres, one pixel apart; y grows downwards |
| `size` | 4 radii of the circumscribed circle: 2.75, 3.25, 3.75, 4.25 pixels |
| `rotation` | 8 angles, 11.25 degrees apart, from 0 on |

No shape is symmetric under a rotation below 90 degrees. The 6,144 images are in a fixed random
order: 4,096 train, 512 validate, 1,536 test. `factors`, int32 [n, 5], are the indices of the
values, in the order of the table.
"""

import numpy as np

from atelier.data.dataset import Dataset, Spec
from atelier.data.splits import fixed_order

SIDE, PARTS = 16, 4  # pixels; parts of a pixel along each axis
LEVELS = PARTS**2 + 1
FACTORS = ('kind', 'x', 'y', 'size', 'rotation')
RADII = np.linspace(2.75, 4.25, 4)  # of the circumscribed circle, in pixels
CENTRES = 4.5 + np.arange(8)  # in pixels from the edge
ANGLES = np.arange(8) * np.pi / 16
EDGE = 1e-6  # relative to the radius: points on an edge are white, despite rounding
SIZES = {'train': 4096, 'valid': 512, 'test': 1536}


def _square(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(u), np.abs(v)) <= np.sqrt(0.5) + EDGE


def _ellipse(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return u**2 + (2 * v) ** 2 <= 1 + EDGE


def _triangle(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Equilateral: three half planes at half the radius from the centre."""
    angles = np.pi / 6 + 2 * np.pi / 3 * np.arange(3)
    return np.all([u * np.cos(a) + v * np.sin(a) <= 0.5 + EDGE for a in angles], axis=0)


KINDS = (_square, _ellipse, _triangle)  # whether (u, v) lies in the shape of circumradius 1


def load() -> Dataset:
    """Returns all images with their factors."""
    counts = len(KINDS), len(CENTRES), len(CENTRES), len(RADII), len(ANGLES)
    order = fixed_order(int(np.prod(counts)))
    factors = np.stack(np.unravel_index(order, counts), 1).astype(np.int32)
    x = _render(factors)
    splits, first = {}, 0
    for name, size in SIZES.items():
        rows = slice(first, first := first + size)
        splits[name] = {'x': x[rows], 'label': factors[rows, 0], 'factors': factors[rows]}
    spec = Spec((SIDE, SIDE, 1), LEVELS, len(KINDS))
    description = f'{SIDE}x{SIDE} shapes with {LEVELS} grey levels 0..{LEVELS - 1}'
    return Dataset('shapes', spec, splits, description, factor_names=FACTORS)


def _render(factors: np.ndarray) -> np.ndarray:
    """Renders factors [n, 5] to uint8 [n, side, side, 1]: draws each form once and shifts it."""
    forms = np.stack([_forms(kind) for kind in KINDS])  # [kinds, sizes, rotations, side, side]
    kind, x, y, size, rotation = factors.T
    images = forms[kind, size, rotation]
    across = (np.arange(SIDE) - x[:, None]) % SIDE
    down = (np.arange(SIDE) - y[:, None]) % SIDE
    return images[np.arange(len(x))[:, None, None], down[:, :, None], across[:, None]][..., None]


def _forms(inside) -> np.ndarray:
    """Draws a kind in all sizes and rotations at the first centres.

    Returns uint8 [sizes, rotations, side, side]. No shape leaves the image, wherever its centre is.
    """
    points = (np.arange(SIDE * PARTS) + 0.5) / PARTS - CENTRES[0]
    u, v = points / RADII[:, None, None, None], points[:, None] / RADII[:, None, None, None]
    cos, sin = (f(ANGLES)[:, None, None] for f in (np.cos, np.sin))
    white = inside(cos * u + sin * v, cos * v - sin * u)
    parts = white.reshape(*white.shape[:2], SIDE, PARTS, SIDE, PARTS)
    return parts.sum((3, 5)).astype(np.uint8)
