"""Points in the plane or in space: scatter plots, with the model's density over the plane."""

import itertools
import math

import numpy as np

from atelier.data.spec import Spec
from atelier.log import counted
from atelier.report import figures
from atelier.report.figure_text import figure_text
from atelier.report.views import drawing
from atelier.report.views.gaps import noting_gaps, with_gaps
from atelier.report.views.view import DATA, Density, Labels, Names, Picture, Sets, View

WIDTHS = {1: 5.2, 2: 4.6}  # of each of one or two panels, in inches
WIDTH = 3.3  # of each of three panels or more
TEXT, LINE = 1.2, 0.25  # height of the texts around a panel, and of each further line, in inches
SIDE = 0.7  # width of the texts beside it
RATIOS = (0.6, 1.6)  # smallest and largest height of a panel, relative to its width
MASSES = (0.9, 0.5)  # of the regions of highest density that contours enclose
LETTERS = 32  # of a title in one line, above a panel of `WIDTH`
MAX_PATHS, FEW_PATHS = 60, 25  # in a large panel, and in a small one
MAX_PAIRS = 200


@figures.style()
def samples(
    sets: Sets,
    spec: Spec,
    title: str,
    labels: Labels | None = None,
    density: Density | None = None,
) -> Picture:
    """Returns a panel of each set and one of the density, in one frame.

    Points in space are shown in the three planes, all sets over each other.
    """
    title = drawing.noting_classes(title, labels)
    if spec.num_dims == 3:
        return _projections(sets, spec, title, labels)
    has_density = density is not None and density.p.ndim == 2
    low, high = drawing.frame(sets)
    n = len(sets) + has_density
    title = drawing.title_of(title, WIDTHS.get(n, WIDTH) * min(n, 3))
    counts = [drawing.counts(which, drawing.rows_of(x), low, high) for which, x in sets.items()]
    if max(map(len, counts)) > LETTERS and n > 2:
        counts = [each.replace(' (', '\n(') for each in counts]
    more = has_density or '\n' in counts[0]
    lines = title.count('\n') + more + _legend_lines(n, sets, spec, labels)
    figure, axes = figures.panels(n, size=_size(n, low, high, lines))
    for axis, which, count in zip(axes, sets, counts, strict=False):
        parts = drawing.parts_of(sets, which, spec, labels)
        for part in parts:
            _scatter(axis, part.x, part.colour, part.name)
        axis.set_title(count)
        _finish(axis, spec, low, high)
    if has_density:
        draw_density(axes[-1], density)
        _finish(axes[-1], spec, low, high)
    if labels:
        named = next((a for a, which in zip(axes, sets, strict=False) if which in labels), axes[0])
        drawing.legend(figure, named)
    figure.suptitle(title)
    return figures.pixels(figure)


def _legend_lines(num_panels: int, sets: Sets, spec: Spec, labels: Labels | None) -> int:
    """Returns the lines of the legend of the classes below so many panels; 0 without labels."""
    which = next((each for each in sets if each in (labels or {})), None)
    if which is None:
        return 0
    names = [part.name for part in drawing.parts_of(sets, which, spec, labels)]
    width = WIDTHS.get(num_panels, WIDTH) * min(num_panels, 3)
    return math.ceil(len(names) / figures.legend_columns(names, width))


def _projections(sets: Sets, spec: Spec, title: str, labels: Labels | None) -> Picture:
    figure, axes = figures.panels(3, size=(WIDTH, WIDTH))
    low, high = drawing.frame(sets)
    for axis, plane in zip(axes, itertools.combinations(range(3), 2), strict=True):
        for part in drawing.all_parts(sets, spec, labels):
            _scatter(axis, part.x[:, plane], part.colour, part.name)
        _finish(axis, spec, low, high, plane)
    figure.suptitle(drawing.title_of(title, 3 * WIDTH))
    drawing.legend(figure, axes[0])
    return figures.pixels(figure)


def _planes(spec: Spec, title: str, low: np.ndarray, high: np.ndarray) -> tuple:
    """Returns (figure, axes, pairs of coordinates) with a panel of each plane, and its title."""
    planes = [*itertools.combinations(range(spec.num_dims), 2)]
    title = drawing.title_of(title, WIDTHS[1] if len(planes) == 1 else WIDTH * len(planes))
    lines = title.count('\n') + 1  # and that of the legend
    size = _size(1, low, high, lines) if len(planes) == 1 else (WIDTH, WIDTH + LINE * lines)
    figure, axes = figures.panels(len(planes), size=size)
    figure.suptitle(title)
    return figure, axes, planes


def _size(
    num_panels: int, low: np.ndarray, high: np.ndarray, lines: int = 0
) -> tuple[float, float]:
    """Returns the size of a panel that fits its frame and so many further lines of text.

    Constrained layout leaves no place for texts around axes of a fixed shape that are as high as
    the figure allows, so the width must be what limits them.
    """
    width = WIDTHS.get(num_panels, WIDTH)
    ratio = float(np.clip((high[1] - low[1]) / (high[0] - low[0]), *RATIOS))
    return width, TEXT + LINE * lines + (width - SIDE) * ratio


def _scatter(axis, x: np.ndarray, colour: str, label: str) -> None:
    size = float(np.clip(3000 / max(1, len(x)), 1.5, 9))
    style = dict(color=colour, linewidths=0, alpha=0.75)
    axis.scatter(*x.T, s=size, **style)
    axis.scatter([], [], s=24, **style, label=label)  # a dot of one size in the legend


def _finish(axis, spec: Spec, low: np.ndarray, high: np.ndarray, plane=(0, 1)) -> None:
    """Sets the frame and the names of the axes."""
    i, j = plane
    axis.set(xlim=(low[i], high[i]), ylim=(low[j], high[j]))
    axis.set(xlabel=axis_name(spec, i), ylabel=axis_name(spec, j))
    ratio = (high[j] - low[j]) / (high[i] - low[i])
    if RATIOS[0] < ratio < RATIOS[1]:  # one unit for both, unless the panel would be a strip
        axis.set_aspect('equal', adjustable='box')
    axis.locator_params(nbins=5)


def axis_name(spec: Spec, index: int) -> str:
    """Returns the name of a coordinate."""
    return drawing.column_name(spec, index) if spec.column_names else f'$x_{index + 1}$'


def draw_density(axis, density: Density) -> None:
    """Draws a density as a map, with contours of the smallest regions that hold 50 and 90 %.

    The mass is that on the grid. Colours follow the square root of p, which shows low densities.
    """
    from matplotlib.colors import PowerNorm  # slow import

    (x, y), p = density.axes, np.nan_to_num(density.p)
    norm = PowerNorm(0.5, 0.0, float(p.max()) or 1.0)
    mesh = axis.pcolormesh(x, y, p, cmap=figures.SEQUENTIAL, shading='nearest', norm=norm)
    figures.colour_bar(axis.figure, mesh, axis, 4, shrink=0.7, aspect=15, pad=0.02)
    levels = mass_levels(p)
    if p.max() > 0 and 0 < levels[0] < levels[1] < p.max():
        axis.contour(x, y, p, levels, colors='white', linewidths=0.6, alpha=0.7)
    kind = figure_text(f'p(x), {density.kind}')
    axis.set_title(f'{kind}\ncontours: 50 and 90 %')


def mass_levels(p: np.ndarray) -> list[float]:
    """Returns the densities at which the regions above hold `MASSES` of the sum of p."""
    ordered = np.sort(p.ravel())[::-1]
    held = np.cumsum(ordered) / max(ordered.sum(), 1e-300)
    return [float(ordered[min(np.searchsorted(held, mass), len(held) - 1)]) for mass in MASSES]


@figures.style()
def pairs(x: np.ndarray, reconstruction: np.ndarray, spec: Spec, title: str) -> Picture:
    """Returns points, and lines from them to their reconstructions."""
    title = drawing.of_first(title, MAX_PAIRS, len(x))
    x, y = drawing.rows_of(x)[:MAX_PAIRS], drawing.rows_of(reconstruction)[:MAX_PAIRS]
    low, high = drawing.frame({DATA: x, 'reconstruction': y})
    figure, axes, planes = _planes(spec, title, low, high)
    for axis, plane in zip(axes, planes, strict=True):
        both = np.stack([x[:, plane], y[:, plane]])
        axis.plot(*both.transpose(2, 0, 1), color=figures.DATA_COLOUR, linewidth=0.7, zorder=0)
        axis.scatter(*both[0].T, s=14, color=figures.DATA_COLOUR, label='x')
        axis.scatter(*both[1].T, s=14, color=figures.colour(0), label='reconstruction')
        _finish(axis, spec, low, high, plane)
    drawing.legend(figure, axes[0])
    return figures.pixels(figure)


@figures.style()
def rows(
    x: np.ndarray,
    spec: Spec,
    title: str,
    row_names: Names,
    column_names: Names,
    among: np.ndarray | None = None,
    across: str = '',
) -> Picture:
    """Returns a path of each row, from a ring to a dot, over the data; colours by row name."""
    del column_names, across  # positions on a path
    title = drawing.of_first(title, MAX_PATHS, len(x))
    paths = np.asarray(x[:MAX_PATHS], np.float64).reshape(min(len(x), MAX_PATHS), x.shape[1], -1)
    points = paths.reshape(-1, paths.shape[-1])
    sets = {DATA: points} if among is None else {DATA: among, 'paths': points}
    low, high = drawing.enlarged(*drawing.frame(sets), points)
    figure, axes, planes = _planes(spec, title, low, high)
    for axis, plane in zip(axes, planes, strict=True):
        if among is not None:
            _scatter(axis, drawing.rows_of(among)[:, plane], figures.DATA_COLOUR, DATA)
        draw_paths(axis, paths[..., plane], row_names)
        _finish(axis, spec, low, high, plane)
    drawing.legend(figure, axes[0])
    return figures.pixels(figure)


@figures.style()
def steps_of_points(
    x_t: np.ndarray,
    x: np.ndarray,
    steps: Names,
    spec: Spec,
    title: str,
    among: np.ndarray | None = None,
) -> Picture:
    """Returns x_t [samples, steps, 2] of three steps, estimates of x at two, and paths over data.

    The frame holds the paths, as far as it becomes at most three times as wide.

    Args:
      x_t: input of each step of sampling.
      x: the model's estimate of x from it; the last is the sample.
      steps: name of each step.
      spec: of the data.
      title: of the figure.
      among: data [n, 2], or None.
    """
    title = noting_gaps(title, {'samples': x_t})
    low, high = drawing.frame({'x': x_t.reshape(-1, 2)} | ({} if among is None else {DATA: among}))
    paths, last = np.asarray(x_t[:FEW_PATHS], np.float64), x_t.shape[1] - 1
    low, high = drawing.enlarged(low, high, paths.reshape(-1, 2))
    figure, axes = figures.panels(6, size=_size(3, low, high))
    shown = [(x_t, 0, '$x_t$'), (x_t, last // 2, '$x_t$'), (x_t, last, '$x_t$')]
    shown += [(x, 0, 'estimate of x'), (x, last // 2, 'estimate of x')]
    for axis, (points, i, which) in zip(axes, shown, strict=False):
        _scatter(axis, points[:, i], figures.colour(0 if points is x_t else 2), which)
        num_outside = drawing.outside(points[:, i], low, high)
        more = f' ({num_outside:,} outside)' if num_outside else ''
        axis.set_title(f'{which}, step {drawing.name(steps[i])}{more}')
    if among is not None:
        _scatter(axes[5], drawing.rows_of(among), figures.DATA_COLOUR, DATA)
    draw_paths(axes[5], paths, ['path of x_t'] * len(paths))
    axes[5].set_title(counted(len(paths), 'path') + ('' if among is None else ' among data'))
    for axis in axes:
        _finish(axis, spec, low, high)
    figure.suptitle(drawing.title_of(title, 3 * WIDTH))
    return figures.pixels(figure)


def draw_paths(axis, paths: np.ndarray, names: Names) -> None:
    """Draws paths [n, points, 2]: a ring at the start, a dot at the end, a colour for each name."""
    kinds = [*dict.fromkeys(names)]
    for path, which in zip(paths, names, strict=False):
        colour, style = figures.colour(kinds.index(which)), figures.line_style(kinds.index(which))
        axis.plot(*path.T, style, color=colour, linewidth=1.2, marker='.', markersize=3)
        axis.plot(*path[0], 'o', markersize=5, markerfacecolor='white', color=colour)
        axis.plot(*path[-1], 'o', markersize=5, color=colour)
    for i, which in enumerate(kinds):
        axis.plot([], [], color=figures.colour(i), label=drawing.name(which) or 'path')


@figures.style()
def ranked(
    x: np.ndarray, captions: Names, spec: Spec, title: str, among: np.ndarray | None = None
) -> Picture:
    """Returns the data, with a ring around each example; captions are not drawn."""
    del captions  # rings that are close would hide them
    marked = drawing.rows_of(x)
    data = marked if among is None else np.concatenate([drawing.rows_of(among), marked])
    low, high = drawing.frame({DATA: data})
    figure, axes, planes = _planes(spec, title, low, high)
    for axis, plane in zip(axes, planes, strict=True):
        _scatter(axis, data[:, plane], figures.DATA_COLOUR, DATA)
        ring = dict(s=60, facecolors='none', edgecolors=figures.colour(3), linewidths=1.5)
        axis.scatter(*marked[:, plane].T, **ring, label='these examples')
        _finish(axis, spec, low, high, plane)
    drawing.legend(figure, axes[0])
    return figures.pixels(figure)


POINTS = with_gaps(View('points', 'examples', False, True, samples, pairs, rows, ranked))
