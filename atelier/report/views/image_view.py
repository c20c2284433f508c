"""Images: grids of their pixels."""

import numpy as np

from atelier.data.spec import Spec
from atelier.report import figures, image_grids
from atelier.report.figure_text import figure_text
from atelier.report.views import drawing
from atelier.report.views.view import Density, Labels, Names, Picture, Sets, View

MAX_PAIR_COLUMNS = 16
MAX_RANKED_COLUMNS = 8
LETTERS_PER_INCH = 11  # of a caption


def samples(
    sets: Sets,
    spec: Spec,
    title: str,
    labels: Labels | None = None,
    density: Density | None = None,
) -> Picture:
    """Returns the grid of one set, without a title, or a named grid of each set."""
    del labels, density  # pixels have no room for them
    if len(sets) == 1:
        (x,) = sets.values()
        return image_grids.enlarged(image_grids.grid(x, spec))
    return _named_grids(sets, spec, title)


@figures.style()
def _named_grids(sets: Sets, spec: Spec, title: str) -> Picture:
    figure, axes = figures.panels(len(sets), size=(3.4, 3.6))
    for axis, (name, x) in zip(axes, sets.items(), strict=True):
        image_grids.show(axis, image_grids.grid(x, spec), (), ())
        axis.set_title(drawing.name(name))
    figure.suptitle(drawing.title_of(title, 3.4 * min(len(sets), figures.MAX_COLUMNS)))
    return figures.pixels(figure)


def pairs(x: np.ndarray, reconstruction: np.ndarray, spec: Spec, title: str) -> Picture:
    """Returns a grid with originals in odd rows and their reconstructions below."""
    del title  # the grid is of pixels alone, which keeps it small
    columns = min(len(x), MAX_PAIR_COLUMNS)
    num_whole = len(x) // columns * columns
    parts = [a[:num_whole].reshape(-1, columns, *spec.event_shape) for a in (x, reconstruction)]
    paired = np.stack(parts, axis=1).reshape(-1, *spec.event_shape)
    return image_grids.enlarged(image_grids.grid(paired, spec, columns))


def rows(
    x: np.ndarray,
    spec: Spec,
    title: str,
    row_names: Names,
    column_names: Names,
    among: np.ndarray | None = None,
) -> Picture:
    """Returns a grid with a title and with names of its rows and columns."""
    del among
    image = image_grids.grid(x.reshape(-1, *spec.event_shape), spec, x.shape[1])
    names = [[*map(figure_text, each)] for each in (row_names, column_names)]
    return image_grids.labelled(image, figure_text(title), *names)


@figures.style()
def ranked(
    x: np.ndarray, captions: Names, spec: Spec, title: str, among: np.ndarray | None = None
) -> Picture:
    """Returns single images, each with its caption of at most two lines below."""
    del among
    columns = min(len(x), MAX_RANKED_COLUMNS)
    width = max(1.25, 3.0 / columns)
    captions = [drawing.wrapped(each, int(LETTERS_PER_INCH * width)) for each in captions]
    height = 1.8 if any('\n' in each for each in captions) else 1.6
    figure, axes = figures.panels(len(x), columns, size=(width, height))
    shades = image_grids.shades(x, spec)
    for axis, image, caption in zip(axes, shades, captions, strict=True):
        axis.imshow(image, cmap='gray', vmin=0, vmax=1)
        axis.set(xticks=(), yticks=(), xlabel=caption)
        axis.spines[:].set_visible(False)
    figure.suptitle(drawing.title_of(title, max(1.25 * columns, 3.0)))
    return figures.pixels(figure)


IMAGES = View('images', True, samples, pairs, rows, ranked)
