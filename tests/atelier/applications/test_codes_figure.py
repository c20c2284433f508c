"""Figures of codes: which classes have an entry of the legend."""

import numpy as np
import pytest

from atelier.applications import _codes_figure
from atelier.data.spec import Spec
from atelier.report import figures


@pytest.mark.parametrize('num_classes', [_codes_figure.MAX_CLASSES, 30])
def test_the_legend_has_the_classes_with_the_most_codes(num_classes):
    """Every code is drawn; those of the other classes are in one colour."""
    label = np.repeat(np.arange(num_classes), 1 + np.arange(num_classes))
    plane = np.random.default_rng(0).standard_normal((len(label), 2))
    names = tuple(f'kind {i}' for i in range(num_classes))
    spec = Spec((3,), 2, num_classes, class_names=names)
    figure, (axes,) = figures.panels(1)
    _codes_figure.scatter(figure, axes, plane, spec, label)
    entries = [text.get_text() for text in axes.get_legend().get_texts()]
    largest = names[-(_codes_figure.MAX_CLASSES - 1) :]
    assert entries == ([*names] if num_classes == 20 else ['11 others', *largest])
    drawn = np.concatenate([points.get_offsets() for points in axes.collections])
    assert sorted(drawn.tolist()) == sorted(plane.tolist())


@pytest.mark.parametrize(
    ('values', 'are_integers'), [([2.0, 5, 9, np.nan], True), ([2, 2.5], False)]
)
def test_the_ticks_of_integers_are_integers(values, are_integers):
    values = np.array(values)
    numbers = _codes_figure.Numbers('length', values, values[None])
    assert numbers.are_integers == are_integers
    figure, (axes,) = figures.panels(1)
    plane = np.random.default_rng(0).standard_normal((len(values), 2))
    _codes_figure.scatter(figure, axes, plane, Spec((3,), 2, None), numbers=numbers)
    (bar,) = (each for each in figure.axes if each is not axes)
    ticks = bar.get_yticks()
    assert (ticks == np.rint(ticks)).all() == are_integers
