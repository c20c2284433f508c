"""Heat maps laid over images: the more of their colour, the larger the value."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from atelier.report import figures
from atelier.report.figure_text import title_lines

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


@figures.style()
def maps_figure(
    shades: Float[np.ndarray, 'n height width channels'],
    values: Float[np.ndarray, 'n height width'],
    captions: Sequence[str],
    captions_of_maps: Sequence[str],
    label: str,
    title: str,
):
    """Returns a matplotlib figure: images, below each its values over it, and a bar of colours.

    Args:
      shades: the images, with values in [0, 1].
      values: of their pixels.
      captions: above the images.
      captions_of_maps: above the values.
      label: of the bar.
      title: of the figure.
    """
    from matplotlib.figure import Figure  # slow import, which a run without figures does not need

    n, height = len(shades), 1.25 * shades.shape[1] / shades.shape[2]
    width = max(1.25 * n, 4) + 1.2
    title = title_lines(title, width)
    lines = sum(max(map(_num_lines, texts)) for texts in (captions, captions_of_maps))
    texts = 0.2 + 0.25 * _num_lines(title) + 0.17 * lines  # inches
    figure = Figure(figsize=(width, 2 * height + texts), layout='constrained')
    rows = figure.subplots(2, n, squeeze=False)
    low, high = _limits(values)
    for i in range(n):
        show_image(rows[0, i], shades[i])
        rows[0, i].set_title(captions[i], fontsize='small')
        shown = show_over(rows[1, i], shades[i], values[i], low, high)
        rows[1, i].set_title(captions_of_maps[i], fontsize='small')
    figures.colour_bar(figure, shown, rows, label=label, extend='max', shrink=0.8)
    figure.suptitle(title)
    return figure


def _num_lines(text: str) -> int:
    return len(text.splitlines())


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Returns the ends of the colours: the highest is that of all but 1 % of the pixels."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 1.0
    return min(0.0, float(finite.min())), max(float(np.quantile(finite, 0.99)), 1e-12)
