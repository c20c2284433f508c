"""Untrusted text in figures."""

from atelier.log import escaped


def figure_text(text: str) -> str:
    """Returns text that Matplotlib shows as it is.

    It reads what stands between two dollar signs as a formula, and leaves out of a legend what
    begins with an underscore.
    """
    shown = escaped(text).replace('$', r'\$')
    return f' {shown}' if shown.startswith('_') else shown
