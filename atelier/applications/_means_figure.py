"""Figures of the components of a mixture over one or two values: their means and weights."""

import numpy as np
from jaxtyping import Float

from atelier.data.spec import Spec
from atelier.report import figures
from atelier.report.figure_text import figure_text
from atelier.report.views import drawing

AREA = 1500.0  # of the largest disc, in square points


def can_draw(spec: Spec) -> bool:
    """Whether an event is one value or a point of the plane."""
    return spec.symbols is None and spec.event_shape in ((), (1,), (2,))


def figure(
    mean: Float[np.ndarray, 'k *event'],
    weight: Float[np.ndarray, 'k'],
    names: list[str],
    spec: Spec,
    title: str,
):
    """Returns the matplotlib figure of means: lines of the height of their weights, or discs.

    Args:
      mean: of each component, of data that `can_draw` accepts.
      weight: of each component.
      names: of classes, untrusted; '' for components.
      spec: of the data.
      title: of the figure.
    """
    with figures.style():
        draw = _discs if spec.event_shape == (2,) else _lines
        return draw(mean.reshape(len(mean), -1), weight, names, spec, title)


def _lines(mean, weight, names: list[str], spec: Spec, title: str):
    whole, (axis,) = figures.panels(1, size=(6.4, 3.6))
    axis.vlines(mean[:, 0], 0, weight, color=figures.colour(0), linewidth=3)
    for x, height, name in zip(mean[:, 0], weight, names, strict=True):
        axis.annotate(figure_text(name), (x, height), ha='center', va='bottom')
    axis.set(xlabel=drawing.column_name(spec, 0, 'value'), ylabel='weight')
    axis.set_ylim(0, 1.15 * weight.max())
    whole.suptitle(drawing.title_of(title, 6.4))
    return whole


def _discs(mean, weight, names: list[str], spec: Spec, title: str):
    whole, (axis,) = figures.panels(1, size=(5.6, 5.6))
    area = AREA * weight / weight.max()
    axis.scatter(*mean.T, s=area, color=figures.colour(0), alpha=0.4, linewidths=0)
    axis.scatter(*mean.T, s=6, color='black')
    for place, name in zip(mean, names, strict=True):
        axis.annotate(figure_text(name), place, textcoords='offset points', xytext=(5, 5))
    are_named = len(spec.column_names) == 2
    x, y = (drawing.column_name(spec, i) if are_named else f'$x_{i + 1}$' for i in (0, 1))
    axis.set(xlabel=x, ylabel=y, title='area of a disc: weight')
    axis.margins(0.15)
    whole.suptitle(drawing.title_of(title, 5.6))
    return whole
