"""Text in figures: untrusted names, and lines that fit."""

import textwrap
import unicodedata

from atelier.log import escaped

TITLE_LETTERS = 9  # in an inch: the titles of this project have 9.7 to 12


def figure_text(text: str) -> str:
    """Returns text that Matplotlib shows as it is.

    It reads what stands between two dollar signs as a formula, and leaves out of a legend what
    begins with an underscore.
    """
    shown = escaped(text).replace('$', r'\$')
    return f' {shown}' if shown.startswith('_') else shown


def number(value: float, digits: int = 6) -> str:
    """Returns a number with so many digits at most, and a minus that is no hyphen."""
    return f'{value + 0.0:.{digits}g}'.replace('-', '\N{MINUS SIGN}')


def title_lines(text: str, width: float) -> str:
    """Returns a title in as few lines as fit a figure, or a panel, of this width in inches."""
    return in_lines(text, int(TITLE_LETTERS * width))


def width_of(text: str) -> int:
    """Returns the width of a text in Latin letters; East Asian ones are twice as wide."""
    return sum(1 + (unicodedata.east_asian_width(letter) in 'WF') for letter in text)


def fitting(text: str, letters: int) -> int:
    """Returns how many letters of this text are as wide as so many Latin ones."""
    return max(1, letters * len(text) // max(1, width_of(text)))


def in_lines(text: str, letters: int) -> str:
    """Returns text in as few lines of at most `letters` as it needs, of about equal length.

    Line ends of the text stay.
    """
    return '\n'.join(line for part in text.split('\n') for line in _balanced(part, letters))


def _balanced(text: str, letters: int) -> list[str]:
    """Returns the lines of the narrowest paragraph that has no more lines than the widest."""
    letters = fitting(text, letters)
    num_lines = len(textwrap.wrap(text, letters))
    shortest = max(1, len(text) // max(num_lines, 1))
    widths = range(min(shortest, letters), letters + 1)
    wrapped = (textwrap.wrap(text, width) for width in widths)
    return next((lines for lines in wrapped if len(lines) <= num_lines), [])
