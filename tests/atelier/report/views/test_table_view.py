"""The mathematics in pictures of tables."""

import re

import numpy as np
import pytest
from figure_checks import text_boxes
from scipy import stats

from atelier.data.spec import Spec
from atelier.report.views import table_view
from atelier.report.views.view import DATA


def test_the_columns_that_differ_most_are_shown():
    x = np.random.RandomState(0).normal(size=(300, 20))
    other = x.copy()
    other[:, [4, 17]] += [[3.0, 1.0]]
    shown, what = table_view.most_different({DATA: x, 'samples': other})
    assert shown[:2] == [4, 17] and len(shown) == table_view.MAX_HISTOGRAMS
    assert what == 'the 9 columns that differ most'
    assert table_view.most_different({'samples': x})[0] == [*range(9)]


@pytest.mark.parametrize('decimals', [1, 8], ids=['ties', 'no ties'])
def test_the_distance_is_that_of_kolmogorov_and_smirnov(decimals):
    random = np.random.RandomState(0)
    a, b = random.normal(size=80).round(decimals), random.normal(0.3, 2, size=50).round(decimals)
    expected = stats.ks_2samp(a, b).statistic
    assert table_view.kolmogorov_smirnov(a, b) == pytest.approx(expected)


def test_correlations_are_those_of_finite_rows():
    x = np.random.RandomState(0).normal(size=(50, 3))
    broken = np.concatenate([x, [[np.nan, 0, 0]]])
    expected = stats.pearsonr(x[:, 0], x[:, 2]).statistic
    assert table_view.correlations(broken)[0, 2] == pytest.approx(expected)
    assert np.isnan(table_view.correlations(np.zeros((1, 2)))).all()


def test_names_of_columns_are_drawn_as_they_are(monkeypatch):
    """A dollar sign is no formula, and no backslash stands before it."""
    texts = []

    def pixels(figure):
        texts.extend(text for text, _ in text_boxes(figure))
        return np.zeros((1, 1, 3), np.uint8)

    monkeypatch.setattr(table_view.figures, 'pixels', pixels)
    spec = Spec((2,), None, None, column_names=('$a$', '_b'))
    x = np.random.RandomState(0).normal(size=(30, 2))
    steps = x[:8].reshape(2, 4, 2)
    table_view.samples({DATA: x, 'samples': x}, spec, 'title')
    table_view.pairs(x, x, spec, 'title')
    table_view.rows(steps, spec, 'title', ['a', 'b'], ['0', '1', '2', '3'])
    table_view.ranked(x[:4], ['a'] * 4, spec, 'title')
    named = [text.strip() for text in texts if '$' in text or '_b' in text]
    assert len(named) >= 10 and set(named) == {r'\$a\$', '_b'}


def test_ticks_of_columns_with_small_values_do_not_touch(monkeypatch):
    """Labels such as 0.125 are a third as wide as a panel; four pixels lie between them."""
    boxes = []

    def pixels(figure):
        numbers = re.compile('[0-9.]+')
        boxes.extend(box for text, box in text_boxes(figure) if numbers.fullmatch(text))
        return np.zeros((1, 1, 3), np.uint8)

    monkeypatch.setattr(table_view.figures, 'pixels', pixels)
    x = np.random.default_rng(0).uniform([5, 10, 0.062, 0], [30, 40, 0.144, 0.42], (50, 4))
    table_view.samples({DATA: x, 'samples': x}, Spec((4,), None, None), 'Samples')
    rows = [[box for box in boxes if abs(box.y0 - each.y0) < 1] for each in boxes]
    ticks = sorted(max(rows, key=len), key=lambda box: box.x0)
    assert len(ticks) >= 4
    assert all(b.x0 - a.x1 > 4 for a, b in zip(ticks, ticks[1:], strict=False))


@pytest.mark.parametrize(
    'seed', [i if i in (0,) else pytest.param(i, marks=pytest.mark.slow) for i in range(4)]
)
def test_each_axis_of_a_pair_plot_has_two_numbers_or_more(monkeypatch, seed):
    drawn = []
    keep = lambda figure: drawn.append(figure) or np.zeros((1, 1, 3), np.uint8)
    monkeypatch.setattr(table_view.figures, 'pixels', keep)
    random = np.random.default_rng(seed)
    low = random.normal(size=5) * 10.0 ** random.integers(-2, 3, 5)
    width = 10.0 ** random.uniform(-2, 3, 5)
    x = random.uniform(low, low + width, (50, 5))
    table_view.samples({DATA: x, 'samples': x}, Spec((5,), None, None), 'Samples')
    text_boxes(drawn[0])  # draws it, after which ticks are known
    axes = [axis for axis in drawn[0].axes if axis.get_gridspec().ncols > 1]
    assert len(axes) == 15
    for axis in axes:
        bottom, top = axis.get_ylim()
        first, last = axis.get_xlim()
        assert sum(first <= tick <= last for tick in axis.get_xticks()) >= 2
        is_histogram = not len(axis.get_yticks())
        assert is_histogram or sum(bottom <= tick <= top for tick in axis.get_yticks()) >= 2
