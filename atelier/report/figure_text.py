"""Text in figures: untrusted names, and lines that fit."""

import textwrap

from atelier.log import escaped

TITLE_LETTERS = 9  # in an inch: the titles of this project have 9.7 to 12


def figure_text(text: str) -> str:
    """Returns text that Matplotlib shows as it is.

    It reads what stands between two dollar signs as a formula, and leaves out of a legend what
    begins with an underscore.
    """
    shown = escaped(text).replace('$', r'\$')
    return f' {shown}' if shown.startswith('_') else shown


def title_lines(text: str, width: float) -> str:
    """Returns a title in as few lines as fit a figure, or a panel, of this width in inches."""
    return in_lines(text, int(TITLE_LETTERS * width))


def in_lines(text: str, letters: int) -> str:
    """Returns text in as few lines of at most `letters` as it needs, of about equal length.

    Line ends of the text stay.
    """
    return '\n'.join(line for part in text.split('\n') for line in _balanced(part, letters))


def _balanced(text: str, letters: int) -> list[str]:
    """Returns the lines of the narrowest paragraph that has no more lines than the widest."""
    num_lines = len(textwrap.wrap(text, letters))
    shortest = max(1, len(text) // max(num_lines, 1))
    widths = range(min(shortest, letters), letters + 1)
    wrapped = (textwrap.wrap(text, width) for width in widths)
    return next((lines for lines in wrapped if len(lines) <= num_lines), [])
