"""Figures of codes in a plane: a point a code, coloured by its class or by a number."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from atelier.data.spec import Spec
from atelier.report import figures
from atelier.report.views import drawing

MAX_NAME = 16  # letters of a class
MARKER = 8  # area of a point, in square points
MAX_CLASSES = 20  # in the legend; of more, those with the fewest codes share an entry
WITHOUT = figures.COLOURS[9]  # of points without a number


class Numbers(NamedTuple):
    """Numbers by which points are coloured.

    name: of the numbers.
    of_codes: [n], of the codes; nan: none.
    of_grid: [m, n], of what a grid decodes to; nan: none.
    """

    name: str
    of_codes: Float[np.ndarray, 'n']
    of_grid: Float[np.ndarray, 'm n']

    @property
    def limits(self) -> tuple[float, float]:
        """The ends of the colours, of all figures alike: the range of the codes' numbers."""
        finite = self.of_codes[np.isfinite(self.of_codes)]
        low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
        return float(low), float(high) if high > low else float(low) + 1.0

    @property
    def are_integers(self) -> bool:
        """Whether all numbers of codes are integers, such as lengths."""
        finite = self.of_codes[np.isfinite(self.of_codes)]
        return bool(np.all(finite == np.rint(finite)))


def scatter(
    figure,
    axes,
    plane: Float[np.ndarray, 'n 2'],
    spec: Spec,
    label: np.ndarray | None = None,
    numbers: Numbers | None = None,
) -> None:
    """Plots a point per code, coloured by numbers or else by classes `label` [n], if there are."""
    axes.set_aspect('equal', 'datalim')
    axes.grid(True)
    figures.few_ticks(axes)
    if numbers is not None:
        _by_numbers(figure, axes, plane, numbers)
    elif label is None:
        axes.scatter(*plane.T, s=MARKER, color=figures.colour(0))
    else:
        _by_class(axes, plane, spec, label)


def _by_numbers(figure, axes, plane: np.ndarray, numbers: Numbers) -> None:
    values, (low, high) = numbers.of_codes, numbers.limits
    has_one = np.isfinite(values)
    if not has_one.all():
        axes.scatter(*plane[~has_one].T, s=MARKER, color=WITHOUT, label='without a number')
        axes.legend(loc='upper right', markerscale=1.5)
    style = dict(s=MARKER, c=values[has_one], cmap=figures.SEQUENTIAL, vmin=low, vmax=high)
    shown = axes.scatter(*plane[has_one].T, **style)
    label = drawing.name(numbers.name, drawing.MAX_ACROSS)
    figures.colour_bar(figure, shown, axes, are_integers=numbers.are_integers, label=label)


def _by_class(axes, plane: np.ndarray, spec: Spec, label: np.ndarray) -> None:
    named = _with_most_codes(label, spec.num_classes)
    is_other, num_others = ~np.isin(label, named), spec.num_classes - len(named)
    if is_other.any():
        name = f'{num_others:,} others'
        axes.scatter(*plane[is_other].T, MARKER, figures.DATA_COLOUR, marker='.', label=name)
    for i, which in enumerate(named):
        is_class, name = label == which, drawing.name(spec.class_name(which), MAX_NAME)
        colour, marker = figures.colour(i), figures.marker(i)
        axes.scatter(*plane[is_class].T, MARKER, colour, marker=marker, label=name)
    axes.legend(title='class', loc='upper left', bbox_to_anchor=(1, 1), markerscale=1.5)


def _with_most_codes(label: np.ndarray, num_classes: int) -> list[int]:
    """Returns all classes, or, of more than `MAX_CLASSES`, those with the most codes, ascending."""
    if num_classes <= MAX_CLASSES:
        return [*range(num_classes)]
    counts = np.bincount(label, minlength=num_classes)
    return sorted(np.argsort(-counts, kind='stable')[: MAX_CLASSES - 1].tolist())
