"""Images: grids of their pixels."""

import math

import numpy as np

from atelier.data.spec import Spec
from atelier.report import figures, image_grids
from atelier.report.figure_text import figure_text
from atelier.report.views import drawing
from atelier.report.views.gaps import with_gaps
from atelier.report.views.view import Density, Labels, Names, Picture, Sets, View

MAX_PAIR_COLUMNS = 16
MAX_NAMED = 40  # columns with names below them
MAX_CLASSES = 16  # with columns of their own; more make a picture too wide for a screen
MAX_CAPTIONS = 64  # images with a name each below them
MAX_RANKED_COLUMNS = 8
LETTERS_PER_INCH = 11  # of a caption


def samples(
    sets: Sets,
    spec: Spec,
    title: str,
    labels: Labels | None = None,
    density: Density | None = None,
) -> Picture:
    """Returns the grid of one set, without a title, or a named grid of each set.

    The one set may have labels in which classes take turns: then each class has its own columns,
    with its name below them. Of many classes, each image has its name.
    """
    del density  # of images, there is none to draw
    if len(sets) > 1:
        return _named_grids(sets, spec, title)
    ((which, x),) = sets.items()
    label = (labels or {}).get(which)
    if label is not None:
        return _by_class(x, spec, title, label)
    return image_grids.enlarged(image_grids.grid(x, spec))


def _by_class(x: np.ndarray, spec: Spec, title: str, label: np.ndarray) -> Picture:
    classes = label[: period(label)]
    is_many = len(classes) > MAX_CLASSES
    if is_many and spec.class_names and len(x) <= MAX_CAPTIONS:
        return ranked(x, [spec.class_name(each) for each in label.tolist()], spec, title)
    columns = None if is_many else _columns(len(x), len(classes))
    image = image_grids.grid(x, spec, columns)
    if is_many or columns > MAX_NAMED:
        return image_grids.enlarged(image)
    names = [drawing.name(spec.class_name(each)) for each in np.resize(classes, columns).tolist()]
    return image_grids.labelled(image, title, [''], names)


def period(label: np.ndarray) -> int:
    """Returns after how many of the labels [n] they repeat; n if they do not."""
    return next(p for p in range(1, len(label) + 1) if np.array_equal(label[p:], label[:-p]))


def _columns(n: int, num_classes: int) -> int:
    """Returns a number of columns for a near-square grid in which each class keeps its columns."""
    return num_classes * max(1, round(math.sqrt(n) / num_classes))


@figures.style()
def _named_grids(sets: Sets, spec: Spec, title: str) -> Picture:
    figure, axes = figures.panels(len(sets), size=(3.4, 3.6))
    for axis, (name, x) in zip(axes, sets.items(), strict=True):
        image_grids.show(axis, image_grids.grid(x, spec), (), ())
        axis.set_title(drawing.name(name))
    figure.suptitle(drawing.title_of(title, 3.4 * min(len(sets), figures.MAX_COLUMNS)))
    return figures.pixels(figure)


def pairs(x: np.ndarray, reconstruction: np.ndarray, spec: Spec, title: str) -> Picture:
    """Returns a grid with originals in odd rows and their reconstructions below.

    Without a title, it is of pixels alone, which is quick.
    """
    columns = min(len(x), MAX_PAIR_COLUMNS)
    padding = np.full((-len(x) % columns, *spec.event_shape), np.min(x))
    parts = [
        np.concatenate([each, padding]).reshape(-1, columns, *spec.event_shape)
        for each in (x, reconstruction)
    ]
    lines = np.stack(parts, axis=1).reshape(-1, columns, *spec.event_shape)
    if title:
        names = ('image', 'reconstruction') * len(parts[0])
        return rows(lines, spec, title, names, [''] * columns)
    return image_grids.enlarged(
        image_grids.grid(lines.reshape(-1, *spec.event_shape), spec, columns)
    )


def rows(
    x: np.ndarray,
    spec: Spec,
    title: str,
    row_names: Names,
    column_names: Names,
    among: np.ndarray | None = None,
    across: str = '',
) -> Picture:
    """Returns a grid with a title and with names of its rows and columns."""
    del among
    image = image_grids.grid(x.reshape(-1, *spec.event_shape), spec, x.shape[1])
    names = [[*map(figure_text, each)] for each in (row_names, column_names)]
    return image_grids.labelled(
        image, figure_text(title), *names, drawing.name(across, drawing.MAX_ACROSS)
    )


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


IMAGES = with_gaps(View('images', 'images', True, False, samples, pairs, rows, ranked, True))
