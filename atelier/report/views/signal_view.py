"""Signals [length] or [length, channels]: lines over the position."""

import numpy as np

from atelier.data.spec import Spec
from atelier.report import figures
from atelier.report.views import drawing
from atelier.report.views.gaps import with_gaps
from atelier.report.views.view import Density, Labels, Names, Picture, Sets, View

MAX_LINES = 6  # signals of a set in a figure
MAX_SETS = 4
MAX_PANELS = 18
MAX_CHANNELS = len(figures.COLOURS)
MAX_POSITIONS = 4000  # of a line; of a longer signal, every k-th value
LEGEND_COLUMNS = 4  # of channels
HEIGHT = 1.1  # of a panel with one signal, in inches


@figures.style()
def samples(
    sets: Sets,
    spec: Spec,
    title: str,
    labels: Labels | None = None,
    density: Density | None = None,
) -> Picture:
    """Returns a column of signals of each set, all to one scale; channels differ in colour."""
    del density  # which has more axes than a figure
    from matplotlib.figure import Figure  # slow import

    shown = [*sets][:MAX_SETS]
    n = min(MAX_LINES, max(len(sets[which]) for which in shown))
    width = min(10.0, 4.0 * max(len(shown), 1.5))
    figure = Figure(figsize=(width, HEIGHT * n + 1.2), layout='constrained')
    axes = figure.subplots(n, len(shown), squeeze=False, sharex=True, sharey=True)
    for column, which in zip(axes.T, shown, strict=True):
        column[0].set_title(drawing.name(which))
        label = (labels or {}).get(which)
        for i, axis in enumerate(column):
            if i < len(sets[which]):
                draw(axis, sets[which][i], spec, drawing.set_colour(sets, which))
                if label is not None:
                    axis.set_ylabel(drawing.name(spec.class_name(int(label[i])), 9))
            else:
                axis.set_axis_off()
        column[-1].set_xlabel('position')
    if len(sets) > len(shown):
        title += f' (the first {len(shown)} of {len(sets)} sets)'
    _finish(figure, axes[0, 0], spec, title, width)
    return figures.pixels(figure)


def draw(
    axis,
    x: np.ndarray,
    spec: Spec,
    colour: str,
    label: str = '',
    width: float = 1.2,
    alpha: float = 1.0,
) -> None:
    """Draws a signal: in `colour` if it has one channel, else a colour for each channel."""
    lines = np.asarray(x, np.float64).reshape(spec.event_shape[0], -1)
    step = -(-len(lines) // MAX_POSITIONS)
    position = np.arange(0, len(lines), step)
    for i, line in enumerate(lines.T[:MAX_CHANNELS]):
        is_single = lines.shape[1] == 1
        name = label if is_single else channel_name(spec, i)
        colour_of_line = colour if is_single else figures.colour(i)
        style = dict(color=colour_of_line, linewidth=width, alpha=alpha)
        axis.plot(position, line[::step], **style, label=name)
    axis.locator_params(axis='y', nbins=3)


def num_channels(spec: Spec) -> int:
    """Returns the number of values at each position."""
    return spec.num_dims // spec.event_shape[0]


def channel_name(spec: Spec, index: int) -> str:
    """Returns the name of a channel as a figure shows it."""
    return drawing.column_name(spec, index, 'channel')


def _finish(figure, axis, spec: Spec, title: str, width: float) -> None:
    """Sets the title and, for several channels, the legend and how many of them are shown."""
    channels = num_channels(spec)
    if channels > MAX_CHANNELS:
        title = f'{title} (the first {MAX_CHANNELS} channels of {channels})'
    figure.suptitle(drawing.title_of(title, width))
    if any(axis.get_legend_handles_labels()[1]):
        drawing.legend(figure, axis, LEGEND_COLUMNS)


def _size(n: int, channels: int = 1) -> tuple[float, float]:
    """Returns the size of each of n panels, in inches, above a legend of so many channels."""
    more_lines, rows = (min(channels, MAX_CHANNELS) - 1) // LEGEND_COLUMNS, -(-n // 3)
    return min(6.6, 9.9 / min(n, 3)), 1.9 + 0.25 * more_lines / rows


@figures.style()
def pairs(x: np.ndarray, reconstruction: np.ndarray, spec: Spec, title: str) -> Picture:
    """Returns a panel a signal: its original and its reconstruction, which is a thinner line."""
    n = min(len(x), MAX_PANELS)
    figure, axes = figures.panels(n, size=_size(n))
    for axis, signal, again in zip(axes, x, reconstruction, strict=False):
        draw(axis, signal, spec, figures.DATA_COLOUR, width=2.4, alpha=0.5)
        draw(axis, again, spec, figures.colour(0))
    axes[0].plot([], color=figures.DATA_COLOUR, linewidth=2.4, alpha=0.5, label='x')
    colour = figures.colour(0) if num_channels(spec) == 1 else 'black'
    axes[0].plot([], color=colour, linewidth=1.2, label='reconstruction')
    title = drawing.of_first(title, n, len(x))
    figure.suptitle(drawing.title_of(title, _size(n)[0] * min(n, 3)))
    handles, names = axes[0].get_legend_handles_labels()
    named = {name: each for each, name in zip(handles, names, strict=True) if name}
    figure.legend(named.values(), named.keys(), loc='outside lower center', ncols=4)
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
    """Returns a panel a row: its signals over each other, dark at the start and bright at the end.

    Of several channels, the first is shown.
    """
    del among
    from matplotlib import colormaps  # slow import
    from matplotlib.colors import to_hex

    n = min(len(x), MAX_PANELS)
    figure, axes = figures.panels(n, 2, size=(4.6, 2.1))
    colours = colormaps[figures.SEQUENTIAL](np.linspace(0, 0.92, x.shape[1]))
    one = spec._replace(event_shape=spec.event_shape[:1])
    for axis, row, name in zip(axes, x, row_names, strict=False):
        for i, signal in enumerate(row):
            first = np.asarray(signal).reshape(spec.event_shape[0], -1)[:, 0]
            is_named = axis is axes[0] and i in _few(len(row))
            label = drawing.name(column_names[i]) if is_named else ''
            draw(axis, first, one, to_hex(colours[i]), label)
        axis.set_title(drawing.name(name))
    more = f': {channel_name(spec, 0)}' if num_channels(spec) > 1 else ''
    title = drawing.of_first(title + more, n, len(x))
    figure.suptitle(drawing.title_of(title, 4.6 * min(n, 2)))
    handles, names = axes[0].get_legend_handles_labels()
    named = [(each, name) for each, name in zip(handles, names, strict=True) if name]
    title = drawing.name(across, drawing.MAX_ACROSS) or None
    figure.legend(*zip(*named, strict=True), loc='outside lower center', ncols=6, title=title)
    return figures.pixels(figure)


def _few(n: int) -> set[int]:
    """Returns up to five indices of n, evenly spaced, with the first and the last."""
    return {*np.linspace(0, n - 1, min(n, 5)).round().astype(int).tolist()}


@figures.style()
def ranked(
    x: np.ndarray, captions: Names, spec: Spec, title: str, among: np.ndarray | None = None
) -> Picture:
    """Returns single signals, each below its caption; grey: the middle 90 % of the data."""
    n = min(len(x), MAX_PANELS)
    figure, axes = figures.panels(n, size=_size(n, num_channels(spec)))
    for axis, signal, caption in zip(axes, x, captions, strict=False):
        if among is not None and num_channels(spec) == 1:
            low, high = np.quantile(drawing.rows_of(among), (0.05, 0.95), axis=0)
            style = dict(color=figures.DATA_COLOUR, alpha=0.3, linewidth=0)
            name = 'middle 90 % of the data'
            axis.fill_between(np.arange(len(low)), low, high, **style, label=name)
        draw(axis, signal, spec, figures.colour(0))
        axis.set_title(drawing.name(caption))
    title = drawing.of_first(title, n, len(x))
    _finish(figure, axes[0], spec, title, _size(n)[0] * min(n, 3))
    return figures.pixels(figure)


SIGNALS = with_gaps(View('signals', 'examples', False, True, samples, pairs, rows, ranked))
