"""The figure of a codebook in use: a histogram of its codes, maps of codes, and decoded codes."""

from collections.abc import Mapping

import numpy as np

from atelier.data.spec import Spec
from atelier.report import figures, image_grids

MAX_NUMBERED = 16  # positions of a map whose codes stand in it as numbers
COLUMNS = 8  # of pictures
CELL = 1.05  # width of a picture, in inches
ROWS = ('image', 'codes', 'decoded')


def figure(
    arrays: Mapping[str, np.ndarray],
    x: np.ndarray,
    spec: Spec,
    map_shape: tuple[int, ...],
    title: str,
):
    """Returns the matplotlib figure of the arrays of `structure.apply`.

    Args:
      arrays: of a codebook.
      x: the shown examples [images, *event].
      spec: of the data; only images are shown.
      map_shape: axes of the positions of a code.
      title: of the figure.
    """
    from matplotlib.figure import Figure  # slow import

    with figures.style():
        if not image_grids.is_drawn_as_image(spec):
            whole = Figure(figsize=(COLUMNS * CELL + 0.6, 3.2), layout='constrained')
            _histogram(whole.subplots(), arrays['count'])
            whole.suptitle(title)
            return whole
        num_rows = -(-len(arrays['code']) // COLUMNS)
        heights = [2.6, 3 * CELL + 0.5, (CELL + 0.3) * num_rows + 0.4]
        whole = Figure(figsize=(COLUMNS * CELL + 0.6, sum(heights) + 0.5), layout='constrained')
        top, middle, bottom = whole.subfigures(3, height_ratios=heights)
        _histogram(top.subplots(), arrays['count'])
        _maps(middle, arrays, x, spec, map_shape)
        _decoded(bottom, arrays, spec, num_rows)
        whole.suptitle(title)
        return whole


def _histogram(axis, count: np.ndarray) -> None:
    """Draws the share of each code, the most used first, and the share of an even use."""
    share = np.sort(count)[::-1] / count.sum()
    axis.bar(np.arange(1, len(share) + 1), share, width=1.0, color=figures.colour(0))
    axis.axhline(1 / len(share), color='black', linestyle='--', label='even use of all codes')
    axis.set(xlabel='code, by its use', ylabel='share', xlim=(0.5, len(share) + 0.5))
    axis.legend()


def _maps(part, arrays, x: np.ndarray, spec: Spec, map_shape: tuple[int, ...]) -> None:
    """Draws test images, their maps of codes and what these decode to, in rows."""
    n = min(len(x), COLUMNS)
    tokens = arrays['tokens'][arrays['index'][:n]]
    shape = map_shape if len(map_shape) == 2 else (1, tokens.shape[1])
    images, decoded = (image_grids.shades(each, spec) for each in (x, arrays['reconstruction']))
    axes = part.subplots(3, COLUMNS, squeeze=False)
    for axis in axes[:, n:].ravel():
        axis.remove()
    for i in range(n):
        for axis, shades in ((axes[0, i], images[i]), (axes[2, i], decoded[i])):
            axis.imshow(shades, cmap='gray', vmin=0, vmax=1)
        _map(axes[1, i], tokens[i].reshape(shape), len(arrays['count']))
    for axis, name in zip(axes[:, 0], ROWS, strict=True):
        axis.set_ylabel(name)
    for axis in axes[:, :n].ravel():
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    title = 'Test images, the maps of their codes, and what these decode to'
    part.suptitle(title, fontsize='medium')


def _map(axis, codes: np.ndarray, size: int) -> None:
    axis.imshow(codes, cmap=figures.SEQUENTIAL, vmin=0, vmax=max(size - 1, 1))
    if codes.size > MAX_NUMBERED:
        return
    for (row, column), code in np.ndenumerate(codes):
        shade = 'white' if code < size / 2 else 'black'
        fontsize = 11 if codes.shape[1] <= 2 else 7
        axis.text(column, row, code, color=shade, ha='center', va='center', fontsize=fontsize)


def _decoded(part, arrays, spec: Spec, num_rows: int) -> None:
    """Draws what each of the most used codes decodes to, alone at every position."""
    axes = part.subplots(num_rows, COLUMNS, squeeze=False).ravel()
    code, share = arrays['code'], arrays['count'] / arrays['count'].sum()
    shades = image_grids.shades(arrays['decoded'], spec)
    for axis, each, image in zip(axes, code, shades, strict=False):
        axis.imshow(image, cmap='gray', vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[], xlabel=f'{each}: {100 * share[each]:.1f} %')
        axis.spines[:].set_visible(False)
    for axis in axes[len(code) :]:
        axis.remove()
    title = 'The most used codes, their shares, and what each decodes to at every position'
    part.suptitle(title, fontsize='medium')
