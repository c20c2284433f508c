"""Grids of images as PNG files."""

import math
import pathlib
from collections.abc import Sequence

import numpy as np

from atelier.data import kinds
from atelier.data.dataset import Spec
from atelier.report import figures
from atelier.report.figure_text import number, title_lines

BORDER = 1  # pixels between two images
GREY = 0.5  # of the borders
MIN_COLUMN = 0.65  # inches: narrower columns have no place for their labels
LETTERS_PER_INCH = 11  # of labels, at most
TICKS = 5  # intervals between the numbers of a scale, at most


def is_image(spec: Spec) -> bool:
    """Whether an event is [height, width] or [height, width, 1 or 3], as a signal may be too."""
    shape = spec.event_shape
    return len(shape) == 2 or (len(shape) == 3 and shape[-1] in (1, 3))


def is_drawn_as_image(spec: Spec) -> bool:
    """Whether pictures take an event for an image, and not for a signal of the same shape."""
    return is_image(spec) and kinds.kind_of(spec) == kinds.IMAGES


def shades(x: np.ndarray, spec: Spec, interval: tuple[float, float] | None = None) -> np.ndarray:
    """Maps events [n, *event] in the data's units to [n, height, width, 1 or 3] in [0, 1].

    Real-valued data are scaled by `interval`, by default that of `interval_of`. What is no number
    has the grey of the borders.
    """
    x = np.asarray(x, np.float64).reshape(len(x), *spec.event_shape[:2], -1)
    low, high = spec.interval or interval or interval_of(x)
    return np.nan_to_num(np.clip((x - low) / max(high - low, 1e-12), 0, 1), nan=GREY)


def interval_of(x: np.ndarray) -> tuple[float, float]:
    """Returns the smallest and the largest finite value; 0 and 1 if there is none."""
    finite = x[np.isfinite(x)]
    return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)


def grid(x: np.ndarray, spec: Spec, columns: int | None = None) -> np.ndarray:
    """Tiles the `shades` of events [n, *event] into one image, uint8 [height, width, 1 or 3]."""
    return tiled(shades(x, spec), columns)


def tiled(x: np.ndarray, columns: int | None = None) -> np.ndarray:
    """Tiles shades [n, height, width, 1 or 3] into one image, uint8 [height, width, 1 or 3]."""
    n, height, width, channels = x.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    canvas = np.full(
        (rows * (height + BORDER) + BORDER, columns * (width + BORDER) + BORDER, channels), GREY
    )
    for i, image in enumerate(x):
        top = BORDER + (i // columns) * (height + BORDER)
        left = BORDER + (i % columns) * (width + BORDER)
        canvas[top : top + height, left : left + width] = image
    return np.round(255 * canvas).astype(np.uint8)


def enlarged(image: np.ndarray, min_width: int = 400) -> np.ndarray:
    """Repeats the pixels of a small image [height, width, channels] to reach `min_width`."""
    factor = max(1, math.ceil(min_width / image.shape[1]))
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def save(path: pathlib.Path, image: np.ndarray) -> None:
    """Writes an image as a PNG, `enlarged`.

    Raises:
      UserError: the file cannot be written.
    """
    figures.save_picture(path, enlarged(image))


def show(axes, image: np.ndarray, rows: Sequence[str], columns: Sequence[str]) -> None:
    """Shows a `grid` in matplotlib axes, with labels beside its rows and below its columns."""
    axes.imshow(image.squeeze(-1) if image.shape[-1] == 1 else image, cmap='gray', vmin=0, vmax=255)
    axes.set_yticks(middles(image.shape[0], len(rows)), rows)
    axes.set_xticks(middles(image.shape[1], len(columns)), columns)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def show_scaled(axes, image: np.ndarray, u: np.ndarray, v: np.ndarray) -> None:
    """Shows a `grid` whose columns lie at u [n] and whose rows lie at v [m], which points upwards.

    Round numbers stand where they lie between the middles of the images: both ascend.
    """
    show(axes, image, (), ())
    axes.tick_params(length=3)
    across, upwards = middles(image.shape[1], len(u)), middles(image.shape[0], len(v))[::-1]
    for set_ticks, values, places in ((axes.set_xticks, u, across), (axes.set_yticks, v, upwards)):
        ticks = round_numbers(values)
        set_ticks(np.interp(ticks, values, places), [*map(number, ticks)])


def round_numbers(values: np.ndarray) -> list[float]:
    """Returns evenly spaced round numbers from the first to the last of ascending values [n].

    Of values that are all the same, it is the first.
    """
    from matplotlib.ticker import MaxNLocator  # slow import

    first, last = float(values[0]), float(values[-1])
    if not first < last:
        return [first]
    ticks = MaxNLocator(TICKS, steps=[1, 2, 5, 10]).tick_values(first, last)
    return [float(tick) for tick in ticks if first <= tick <= last]


def middles(size: int, n: int) -> np.ndarray:
    """Returns where the middles of n images [n] lie in a `grid` of `size` pixels."""
    return (np.arange(n) + 0.5) * (size - BORDER) / max(n, 1) + BORDER / 2 - 0.5


@figures.style()
def labelled(
    image: np.ndarray, title: str, rows: Sequence[str], columns: Sequence[str], across: str = ''
) -> np.ndarray:
    """Returns the picture of a `grid` with a title and with labels of its rows and columns.

    Labels of columns that are wider than the columns stand upright. `across` says what they are.
    """
    from matplotlib.figure import Figure  # slow import; unlike pyplot, it has no global state

    width = max(MIN_COLUMN * len(columns), image.shape[1] / figures.DPI)  # keeps every pixel
    height = width * image.shape[0] / image.shape[1]
    longest_row, longest_column = (max(map(len, names), default=0) for names in (rows, columns))
    is_upright = longest_column > width / max(len(columns), 1) * LETTERS_PER_INCH
    left = 0.4 + longest_row / LETTERS_PER_INCH
    below = 0.6 + longest_column / LETTERS_PER_INCH if is_upright else 0.4
    title = title_lines(title, left + width)
    across = title_lines(across, left + width)
    texts = 0.1 + 0.25 * (1 + title.count('\n'))
    texts += 0.1 + 0.2 * len(across.splitlines()) if across else 0.0
    size = left + width + 0.2, height + below + texts
    figure = Figure(figsize=size, layout='constrained')
    axes = figure.subplots()
    show(axes, image, rows, columns)
    if is_upright:
        axes.tick_params('x', rotation=90)
    figure.suptitle(title)
    if across:  # at the border of the figure, which cannot cut it, unlike the name of an axis
        figure.supxlabel(across, fontsize='medium')
    return figures.pixels(figure)
