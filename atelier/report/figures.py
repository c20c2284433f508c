"""Figures of one style: colours, text sizes, panels that wrap, and PNG files.

A picture is an array, uint8 [height, width, 1 or 3]; PNG files, TensorBoard, animations and pages
all take one. A figure of matplotlib becomes a picture by `pixels`.
"""

import contextlib
import math
import pathlib
import threading
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import UInt8

from atelier import files
from atelier.report import fonts
from atelier.report.figure_text import width_of

DPI = 120  # resolution of figures, in dots per inch
MAX_INTERVALS = 6  # between the ticks of a bar of colours
MAX_COLUMNS = 3  # panels side by side: a figure of three fits a screen and a slide
PANEL = (3.4, 2.8)  # width and height of a panel, in inches
# Okabe and Ito's eight colours, brown and light grey: ten classes that every colour vision tells
# apart
COLOURS = (
    *('#0072B2', '#E69F00', '#009E73', '#D55E00', '#CC79A7'),
    *('#56B4E9', '#000000', '#F0E442', '#661100', '#BBBBBB'),
)
DATA_COLOUR = '#7F7F7F'  # of the data beside which samples are shown
MARKERS = 'os^vDP*X'  # of points that share a colour
LINE_STYLES = ('-', '--', ':', '-.')  # of lines that share a colour
SEQUENTIAL, DIVERGING = 'viridis', 'PuOr'  # colour maps for every colour vision
STYLE = {
    'axes.grid': False,
    'axes.spines.right': False,
    'axes.spines.top': False,
    'axes.titlesize': 'medium',
    'figure.titlesize': 'large',
    'font.size': 11.0,
    'grid.alpha': 0.3,
    'image.cmap': SEQUENTIAL,
    'legend.fontsize': 'small',
    'legend.frameon': False,
    'xtick.labelsize': 'small',
    'ytick.labelsize': 'small',
}
_LOCK = threading.RLock()  # matplotlib's settings are global, and a thread draws in training


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Sets the style of figures; `@style()` makes a function draw in it."""
    import matplotlib  # slow import: a run without figures does not need it

    with _LOCK, matplotlib.rc_context({**STYLE, 'font.family': fonts.families()}):
        yield


def colour(index: int) -> str:
    """Returns the colour of the line or the class `index`; the colours repeat after ten."""
    return COLOURS[index % len(COLOURS)]


def line_style(index: int) -> str:
    """Returns the line style that tells line `index` from others of its colour."""
    return LINE_STYLES[index // len(COLOURS) % len(LINE_STYLES)]


def marker(index: int) -> str:
    """Returns the marker that tells points of class `index` from others of their colour."""
    return MARKERS[index // len(COLOURS) % len(MARKERS)]


def panels(n: int, max_columns: int = MAX_COLUMNS, size: tuple[float | int, float | int] = PANEL):
    """Returns (figure, n axes): panels of `size` inches, in rows of at most `max_columns`."""
    from matplotlib.figure import Figure  # slow import; unlike pyplot, it has no global state

    columns = max(1, min(n, max_columns))
    rows = max(1, math.ceil(n / columns))
    figure = Figure(figsize=(columns * size[0], rows * size[1]), layout='constrained')
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for unused in axes[n:]:
        unused.remove()
    return figure, list(axes[:n])


def few_ticks(axis) -> None:
    """Leaves so few ticks on both axes that their labels do not touch."""
    axis.locator_params(axis='x', nbins=4)
    axis.locator_params(axis='y', nbins=5)


def colour_bar(
    figure, shown, axes, num_intervals: int = MAX_INTERVALS, are_integers: bool = False, **place
):
    """Returns matplotlib's bar of colours beside axes, with few ticks however long it is.

    Without that, a layout made for some ticks may be drawn with others, whose numbers are wider.
    There are at most `num_intervals` between ticks, which are integers if all values are.
    """
    from matplotlib.ticker import MaxNLocator  # slow import

    ticks = MaxNLocator(num_intervals, integer=are_integers)
    return figure.colorbar(shown, ax=axes, ticks=ticks, **place)


def legend_below(figure, lines, labels: Sequence[str]) -> None:
    """Adds a legend of several panels below them, in as many columns as fit the figure."""
    columns = legend_columns(labels, figure.get_figwidth(), len(labels))
    figure.legend(lines, labels, loc='outside lower left', ncols=columns)


def legend_columns(names: Sequence[str], width: float, most: int = 5) -> int:
    """Returns the columns of a legend in a figure of this width in inches."""
    inches = 0.6 + 0.09 * max(map(width_of, names), default=0)  # of an entry
    return max(1, min(len(names), most, int(width / inches)))


@style()
def pixels(figure) -> UInt8[np.ndarray, 'height width 3']:
    """Draws a matplotlib figure; returns its picture."""
    canvas = drawn(figure)
    return np.array(canvas.buffer_rgba())[..., :3]


def save_figure(path: pathlib.Path, figure) -> None:
    """Writes a matplotlib figure as a PNG.

    Raises:
      UserError: the file cannot be written.
    """
    save_picture(path, pixels(figure))


def save_picture(path: pathlib.Path, picture: np.ndarray) -> None:
    """Writes a picture, uint8 [height, width, 1 or 3], as a PNG.

    Raises:
      UserError: the file cannot be written.
    """
    from PIL import Image  # imported here: a run without pictures does not need it

    image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
    with files.whole(path) as file:
        image.save(file, 'PNG')


def drawn(figure):
    """Draws a matplotlib figure in memory; returns its canvas."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    fonts.silence()
    canvas.draw()
    fonts.report(text.get_text() for text in figure.findobj(Text))
    return canvas
