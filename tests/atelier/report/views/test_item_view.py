"""Pictures of items: what is listed, which letters are coloured, lengths."""

import numpy as np
import pytest

from atelier.data import items
from atelier.data.spec import Spec
from atelier.data.text import encode
from atelier.report import figures
from atelier.report.views import item_view
from atelier.report.views.choose import shows_distribution, view_of
from atelier.report.views.view import DATA

SYMBOLS = items.END + '\n$=CNO_abc'
SPEC = Spec((31,), len(SYMBOLS), 2, symbols=SYMBOLS, class_names=('left', 'right'))
NAMES = ['abc', 'C=O', '$a$_b', 'CCNCC=O', 'a\nb', 'b' * 30]


def events(*names, spec=SPEC):
    length = spec.num_dims
    return np.stack([encode(name.ljust(length, items.END), spec.symbols) for name in names])


@pytest.fixture
def drawn(monkeypatch):
    """The figures that a test draws."""
    found, draw = [], figures.pixels

    def pixels(figure):
        found.append(figure)
        return draw(figure)

    monkeypatch.setattr(figures, 'pixels', pixels)
    return found


def texts(figure) -> list[str]:
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if text.get_text().strip()]


def coloured(figure) -> list[str]:
    from matplotlib.text import Annotation

    of_figure = figure.findobj(Annotation)
    return [text.get_text() for text in of_figure if text.get_color() == item_view.CHANGED]


def test_items_have_a_view_and_windows_have_none():
    assert view_of(SPEC) is item_view.ITEMS
    assert not shows_distribution(SPEC._replace(event_shape=(5,)))
    assert view_of(Spec((31,), 9, None, symbols=SYMBOLS[1:])) is None


@pytest.mark.parametrize(
    ('text', 'like', 'expected'),
    [
        ('abc', 'abc', '   '),
        ('abxc', 'abc', '  x '),
        ('ac', 'abc', '  '),
        ('xyz', 'abc', 'xyz'),
        ('abc', '', 'abc'),
        ('abc', None, '   '),
        ('a語c', 'abc', '   '),
    ],
)
def test_letters_that_another_text_lacks_are_new(text, like, expected):
    is_new = item_view.changed(text, like)
    shown = [letter if new else ' ' for letter, new in zip(text, is_new, strict=True)]
    assert ''.join(shown) == expected
    parts = [*item_view.runs(text, is_new)]
    assert ''.join(part for _, part, _ in parts) == text
    assert all(text[start:].startswith(part) for start, part, _ in parts)
    assert [*item_view.runs('', np.zeros(0, bool))] == []


def test_samples_stand_beside_data_with_their_classes_and_lengths(drawn):
    x = events(*NAMES)
    sets = {DATA: x, 'samples': np.repeat(x, 4, 0)}
    picture = view_of(SPEC).samples(sets, SPEC, 'Samples', {'samples': np.arange(24) % 2})
    assert picture.dtype == np.uint8 and picture.shape[1] <= 1200
    (figure,) = drawn
    found = texts(figure)
    assert 'data: 6 of 6' in found and 'samples: 16 of 24' in found
    assert {'abc', 'C=O', '$a$_b', 'a↵b', 'b' * 30, 'left', 'right'} <= {*found}
    histogram = figure.subfigs[1].axes[0]
    assert histogram.get_xlabel() == 'length of an item, in symbols'
    (filled, outline) = histogram.patches
    for stairs, lengths in ((filled, [3, 3, 5, 7, 3, 30]), (outline, [3, 3, 5, 7, 3, 30] * 4)):
        values, edges, _ = stairs.get_data()
        expected, _ = np.histogram(lengths, edges)
        np.testing.assert_allclose(values * np.diff(edges) * len(lengths), expected)


def test_pairs_count_what_is_equal_and_colour_what_is_not(drawn):
    x, y = events('abc', 'CCO', 'aaa'), events('abc', 'CNO', 'aaab')
    view_of(SPEC).pairs(x, y, SPEC, 'Test items and their reconstructions')
    (figure,) = drawn
    title = figure.get_suptitle().replace('\n', ' ')
    assert title == 'Test items and their reconstructions: 1 of 3 are equal'
    assert coloured(figure) == ['N', 'b']


def test_rows_are_lists_whose_changes_are_coloured(drawn):
    x = np.stack([events('abc', 'abC', 'aOC'), events('abc', 'abc', 'NOC')])
    names = ['linear', 'spherical']
    view_of(SPEC).rows(x, SPEC, 'Paths', names, ['0', '0.5', '1'], across='t')
    (figure,) = drawn
    assert {'linear', 'spherical', '0.5'} <= {*texts(figure)}
    assert figure.get_supxlabel() == f'{item_view.REMARK}; in grey: t'
    assert coloured(figure) == ['C', 'O', 'NOC']
    first, second = figure.subfigs[0].axes
    assert first.get_subplotspec().colspan != second.get_subplotspec().colspan


def test_long_items_stand_in_one_column_and_are_cut(drawn):
    spec = SPEC._replace(event_shape=(301,))
    x = np.stack([events('ab' * 150, 'ab' * 150, spec=spec)] * 2)
    picture = view_of(spec).rows(x, spec, 'Paths', ['linear', 'spherical'], ['0', '1'])
    assert picture.shape[1] <= 1200
    (figure,) = drawn
    assert len({axis.get_subplotspec().colspan.start for axis in figure.subfigs[0].axes}) == 1
    assert any('...' in text for text in texts(figure))


def test_a_long_item_is_cut_and_the_others_stand_side_by_side(drawn):
    spec = SPEC._replace(event_shape=(151,))
    x = events(*['abc'] * 15, 'ab' * 75, spec=spec)
    view_of(spec).samples({DATA: x, 'samples': x}, spec, 'Samples')
    axes = drawn[0].subfigs[0].axes
    assert len({axis.get_subplotspec().colspan.start for axis in axes}) == 2
    assert any('...' in text for text in texts(drawn[0]))


def test_ranked_items_stand_after_their_captions(drawn):
    view_of(SPEC).ranked(events(*NAMES), [f'row {i}: 5' for i in range(6)], SPEC, 'Most anomalous')
    assert {'row 5: 5', 'b' * 30} <= {*texts(drawn[0])}
