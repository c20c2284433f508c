"""Heat maps laid over images: the more of their colour, the larger the value."""

import numpy as np
from jaxtyping import Float

from atelier.report import figures

HEAT = figures.COLOURS[3]  # vermilion, visible on black and on white


def heat_colours():
    """Returns matplotlib's colour map from transparent to `HEAT`."""
    from matplotlib.colors import LinearSegmentedColormap, to_rgba  # slow import

    return LinearSegmentedColormap.from_list('heat', [to_rgba(HEAT, 0.0), to_rgba(HEAT, 1.0)])


def show_image(axes, image: Float[np.ndarray, 'height width channels']) -> None:
    """Shows an image with values in [0, 1] in matplotlib axes, without ticks."""
    axes.imshow(image, cmap='gray', vmin=0, vmax=1)
    axes.set_axis_off()


def show_over(
    axes,
    image: Float[np.ndarray, 'height width channels'],
    values: Float[np.ndarray, 'height width'],
    low: float,
    high: float,
):
    """Shows values over an image, from `low` (transparent) to `high`; returns what a bar shows."""
    show_image(axes, image)
    return axes.imshow(values, cmap=heat_colours(), vmin=low, vmax=high)
