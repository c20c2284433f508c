"""Frames of animations: events by frame, drawn to one scale."""

from collections.abc import Mapping, Sequence

import numpy as np

from atelier.data.spec import Spec
from atelier.report import animation, figures, image_grids
from atelier.report.figure_text import figure_text
from atelier.report.views import drawing
from atelier.report.views.choose import view_of

MIN_WIDTH = 260  # of a grid of images, in pixels
WIDTH, ABOVE = 3.6, 0.9  # of a plot of points, and of what is above and below it, in inches
Picture = np.ndarray  # uint8 [height, width, 1 or 3]


def pictures(sets: Mapping[str, np.ndarray], spec: Spec, captions: Sequence[str]) -> list[Picture]:
    """Returns a picture of each frame, in which the named sets are side by side.

    Args:
      sets: {name: x [n, frames, *event]} in the data's units.
      spec: of the data, which are no text.
      captions: text below each frame.
    """
    if image_grids.is_drawn_as_image(spec):
        drawn = [_images(x, spec, name) for name, x in sets.items()]
        together = [animation.beside(parts) for parts in zip(*drawn, strict=True)]
        captioned = map(animation.captioned, together, captions)
        return [animation.reduced(picture, len(captions)) for picture in captioned]
    if spec.event_shape == (2,):
        return _points(sets, captions)
    view = view_of(spec)
    of_frame = lambda i: {name or 'samples': x[:, i] for name, x in sets.items()}
    return [
        animation.reduced(view.samples(of_frame(i), spec, caption), len(captions))
        for i, caption in enumerate(captions)
    ]


def _images(x: np.ndarray, spec: Spec, name: str) -> list[Picture]:
    """Returns the grid of each frame, all on one scale of grey, with a name above it."""
    shades = image_grids.shades(x.reshape(-1, *spec.event_shape), spec)
    by_frame = np.moveaxis(shades.reshape(*x.shape[:2], *shades.shape[1:]), 1, 0)
    tiled = [image_grids.enlarged(image_grids.tiled(frame), MIN_WIDTH) for frame in by_frame]
    return [animation.captioned(each, name, is_above=True) for each in tiled] if name else tiled


@figures.style()
def _points(sets: Mapping[str, np.ndarray], captions: Sequence[str]) -> list[Picture]:
    """Returns scatter plots, one panel a set, with the same axes in all frames."""
    low, high = drawing.frame({name: x.reshape(-1, 2) for name, x in sets.items()})
    width, height = high - low
    size = (WIDTH, WIDTH * min(max(height / width, 0.5), 1.5) + ABOVE)
    figure, axes = figures.panels(len(sets), size=size)
    clouds = []
    for axis, (name, x) in zip(axes, sets.items(), strict=True):
        clouds.append(axis.scatter(*x[:, 0].T, s=4, linewidths=0, color=figures.colour(0)))
        axis.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), title=figure_text(name))
        axis.set(xlabel='$x_1$', ylabel='$x_2$', aspect='equal')
    drawn, title = [], figure.suptitle('')
    for i, caption in enumerate(captions):
        for cloud, x in zip(clouds, sets.values(), strict=True):
            cloud.set_offsets(x[:, i])
        title.set_text(figure_text(caption))
        drawn.append(animation.reduced(figures.pixels(figure), len(captions)))
        figure.set_layout_engine('none')  # the first frame's stays: nothing moves
    return drawn
