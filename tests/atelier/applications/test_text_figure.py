"""Passages of a text with their nats: which, in which lines, and how they are drawn."""

import numpy as np
import pytest
from figure_checks import check_texts

from atelier.applications import _text_figure as text_figure
from atelier.applications._text_figure import Passage


def test_windows_are_ranked_by_nats_per_scored_character():
    """Windows that score few characters are left out, and a short list has no window twice."""
    text = ['aaaa', 'bbbb', 'cccc', 'dddd', 'eeee']
    nats = np.zeros((5, 4))
    nats[:, 2:] = [[1, 1], [3, 3], [0.1, 0.3], [2, 2], [9, 9]]
    num_scored = np.array([2, 2, 2, 2, 0])
    passages = text_figure.windows(text, nats, num_scored, np.arange(0, 50, 10))
    assert [each.text[0] for each in passages] == ['b', 'd', 'c', 'a']
    assert passages[0].title == 'Least likely window 1, from character 12: 3.00 nats per character'
    assert passages[2].title == 'Most likely window 1, from character 22: 0.20 nats per character'
    np.testing.assert_array_equal(passages[0].nats, [np.nan, np.nan, 3, 3])


def test_one_window_is_shown_once():
    (passage,) = text_figure.windows(['ab'], np.ones((1, 2)), np.array([2]), np.array([0]))
    assert passage.text == 'ab'


def test_long_windows_are_shown_from_shortly_before_their_score():
    text, num_scored = 'x' * 500 + 'y' * 400, np.array([400])
    nats = np.where(np.arange(900) < 500, 0.0, 1.0)[None]
    (passage,) = text_figure.windows([text], nats, num_scored, np.array([0]))
    before, shown = text_figure.BEFORE, text_figure.MAX_SHOWN
    assert passage.text == 'x' * before + 'y' * (shown - before)
    assert len(passage.nats) == shown


def test_the_beginning_joins_the_scored_parts_of_windows():
    text, num_scored = ['abcd', 'cdef', 'defg'], np.array([4, 2, 1])
    nats = np.array([[1, 2, 3, 4], [0, 0, 5, 6], [0, 0, 0, 7.0]])
    (passage,) = text_figure.beginning(text, nats, num_scored)
    assert passage.text == 'abcdefg' and passage.nats.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert passage.title == 'Mean of 7 characters: 4.00 nats'


@pytest.mark.parametrize(
    ('text', 'has_lines', 'expected'),
    [
        ('ab\n\ncd', True, ['ab↵', '↵', 'cd']),
        ('ab\n\ncd', False, ['ab↵↵cd']),
        ('a\tb', True, ['a→b']),
        ('x' * 170, True, ['x' * 80, 'x' * 80, 'x' * 10]),
        ('x' * 80 + '\n', True, ['x' * 80, '↵']),
        ('\n' * 500, True, ['↵'] * text_figure.MAX_LINES),
    ],
)
def test_lines_are_bounded_and_ends_are_visible(text, has_lines, expected):
    lines = text_figure.lines_of(Passage('', text, np.ones(len(text)), has_lines))
    assert [''.join(character for character, _ in line) for line in lines] == expected


def test_each_character_stands_on_the_colour_of_its_nats():
    """What is not scored has no colour; formulas, control characters and lone surrogates are
    drawn as characters, and the legend ends at a uniform guess.
    """
    text, nats = 'a$b$\x1b語 ', np.array([np.nan, 0.1, 1, 2, 3, 4, 5.0])
    figure = text_figure.figure([Passage('one', text, nats)], 50, 'title')
    check_texts(figure)
    axis = figure.axes[0]
    (image,) = axis.images
    np.testing.assert_array_equal(image.get_array().filled(np.nan)[1, :7], nats)
    np.testing.assert_allclose(image.get_clim(), [0, np.log(50)])
    drawn = {int(each.get_position()[0]): each for each in axis.texts[1:]}
    shown = ''.join(drawn[i].get_text() for i in range(6))
    assert shown == f'a$b${text_figure.UNKNOWN}{text_figure.UNKNOWN}' and 6 not in drawn
    assert [drawn[i].get_color() for i in (0, 1, 5)] == ['0.45', 'black', 'white']


def test_windows_of_one_text_are_shown_once():
    """A text may repeat itself, and its likeliest windows are often equal."""
    text, nats = ['ab', 'cd', 'ab', 'ef'], np.array([[1, 1], [2, 2], [1, 1], [3, 3.0]])
    passages = text_figure.windows(text, nats, np.full(4, 2), np.arange(0, 8, 2))
    assert [each.text for each in passages] == ['ef', 'cd'] or len(passages) == 2
    assert [each.text for each in passages].count('ab') == 1


@pytest.mark.parametrize(('length', 'width'), [(8, 40), (64, 64), (300, 80)])
def test_a_figure_is_as_wide_as_its_longest_line(length, width):
    passage = Passage('a title', 'x' * length, np.ones(length))
    rows = [passage.title, *text_figure.lines_of(passage)]
    assert text_figure.columns_of(rows) == width
    drawn = text_figure.figure([passage], 20, 'Nats by character: the examples of some file')
    assert drawn.get_figwidth() == pytest.approx(text_figure.CELL[0] * width + 1.5)
    check_texts(drawn)
