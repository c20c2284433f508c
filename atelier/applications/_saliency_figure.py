"""Figures of the gradient of a logit for data that are not images: bars of columns, or lines."""

from collections.abc import Sequence

import numpy as np

from atelier.data.spec import Spec
from atelier.report import figures
from atelier.report.views import drawing, signal_view, table_view
from atelier.report.views.view import Picture, View

MAX_COLUMNS = 12  # of an example, those with the largest gradients
MAX_EXAMPLES = 9
BARS = (4.6, 1.1, 0.27)  # of a panel in inches: its width, the height of its texts, and of a bar


def picture(
    view: View, x: np.ndarray, slope: np.ndarray, captions: Sequence[str], spec: Spec
) -> Picture:
    """Returns the picture of the gradients of examples.

    A gradient is multiplied by the standard deviation of the training data (of levels, by their
    range), so that columns of different units can be compared.

    Args:
      view: of the data, not that of images.
      x: examples [n, *event].
      slope: gradients [n, *event], in logits per unit of x.
      captions: of the examples.
      spec: of the data.
    """
    n, scale = min(len(x), MAX_EXAMPLES), np.asarray(spec.affine(slope.shape)[1])
    draw = _lines if view is signal_view.SIGNALS else _bars
    return draw(np.asarray(x[:n]), (slope * scale)[:n], captions[:n], spec, len(x))


def unit(spec: Spec) -> str:
    """Returns the unit of what a figure shows."""
    return f'logits per {"standard deviation" if spec.interval is None else "range of x"}'


def strongest(slope: np.ndarray) -> list[int]:
    """Returns the indices of the columns of a gradient [columns] that a figure shows, in order."""
    largest = np.argsort(-np.abs(slope), kind='stable')[:MAX_COLUMNS]
    return np.sort(largest).tolist()


@figures.style()
def _bars(x: np.ndarray, slope: np.ndarray, captions: Sequence[str], spec: Spec, total: int):
    """Draws a panel an example: a bar for each column, whose name has its value."""
    rows, slope = drawing.rows_of(x), drawing.rows_of(slope)
    width, text, bar = BARS
    shown = min(spec.num_dims, MAX_COLUMNS)
    figure, axes = figures.panels(len(rows), 2, size=(width, text + bar * max(shown, 3)))
    reach = 1.05 * max(float(np.abs(slope).max()), 1e-12)
    for axis, row, each, caption in zip(axes, rows, slope, captions, strict=True):
        index = strongest(each)
        colours = [figures.colour(0 if value >= 0 else 3) for value in each[index]]
        axis.barh(range(shown), each[index], color=colours)
        names = [f'{drawing.name(table_view.column(spec, i), 18)} = {row[i]:.3g}' for i in index]
        axis.set_yticks(range(shown), names)
        axis.invert_yaxis()
        axis.axvline(0, color='black', linewidth=0.8)
        axis.set(xlim=(-reach, reach), xlabel=unit(spec))
        axis.set_title(drawing.title_of(caption, width))
        axis.locator_params(axis='x', nbins=5)
    more = f': the {shown} largest of {spec.num_dims:,} columns'
    title = 'Gradients of the logit' + (more if shown < spec.num_dims else '')
    title = drawing.of_first(title, len(rows), total)
    figure.suptitle(drawing.title_of(title, width * min(len(rows), 2)))
    return figures.pixels(figure)


@figures.style()
def _lines(x: np.ndarray, slope: np.ndarray, captions: Sequence[str], spec: Spec, total: int):
    """Draws a row an example: the signal, and beside it the gradient at each position."""
    from matplotlib.figure import Figure  # slow import

    n, width = len(x), 9.9
    figure = Figure(figsize=(width, 1.7 * n + 1.0), layout='constrained')
    axes = figure.subplots(n, 2, squeeze=False, sharex=True, sharey='col')
    for row, signal, each, caption in zip(axes, x, slope, captions, strict=True):
        signal_view.draw(row[0], signal, spec, figures.DATA_COLOUR)
        signal_view.draw(row[1], each, spec, figures.colour(3))
        row[1].axhline(0, color='black', linewidth=0.6)
        row[0].set_title(drawing.title_of(caption, width / 2))
    axes[0, 1].set_title(f'gradient, {unit(spec)}')
    for axis in axes[-1]:
        axis.set_xlabel('position')
    title = drawing.of_first('Gradients of the logit', n, total)
    figure.suptitle(drawing.title_of(title, width))
    if signal_view.num_channels(spec) > 1:
        drawing.legend(figure, axes[0, 0], 4)
    return figures.pixels(figure)
