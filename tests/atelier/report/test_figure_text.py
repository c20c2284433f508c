"""Texts of figures are broken into lines of about one length."""

import textwrap

import pytest

from atelier.report.figure_text import in_lines, number

TITLE = 'Latent dimensions by mean KL to the prior, moved from -3 to 3; the others at the mean'


@pytest.mark.parametrize('letters', [12, 30, 50, 200])
def test_lines_are_as_few_as_words_allow_and_about_equally_long(letters):
    """In narrower lines, the text would need more of them."""
    lines = in_lines(TITLE, letters).split('\n')
    assert ' '.join(lines) == TITLE
    longest = max(map(len, lines))
    assert longest <= letters
    assert len(lines) == len(textwrap.wrap(TITLE, letters))
    assert len(textwrap.wrap(TITLE, longest - 1)) > len(lines)


def test_line_ends_stay():
    assert in_lines('Codes of the digits\n2 principal components', 30).split('\n') == [
        'Codes of the digits',
        '2 principal components',
    ]
    assert in_lines('', 30) == ''


def test_numbers_have_a_minus_that_is_no_hyphen():
    minus = '\N{MINUS SIGN}'
    assert [number(each) for each in (-1.5, 0.0, -0.0, 2.0)] == [f'{minus}1.5', '0', '0', '2']
    assert number(-1e-7, 1) == f'{minus}1e{minus}07'
