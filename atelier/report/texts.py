"""Texts: decoded from tokens, written to files and shown in lines."""

import pathlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Num

from atelier import files
from atelier.data.dataset import Spec
from atelier.data.items import END, are_items
from atelier.data.text import NEWLINE, decode

DECODED = 'decoded_text'  # name of an array of items that codes decode to
BETWEEN = '\n\n' + 72 * '-' + '\n\n'
VISIBLE = {'\n': '↵', '\t': '→', '\r': '←', '\xa0': '·', END: '■'}
UNKNOWN = '□'  # of a character that does not print


def is_text(spec: Spec) -> bool:
    """Whether an event is a window of tokens."""
    return spec.symbols is not None


def between(spec: Spec, separator: str = '') -> str:
    """Returns what stands between two texts of a file: a line end, if no text has one.

    `separator` is what stood between items of several lines when they were read, if there are any;
    a backslash and n in it are a line end.
    """
    if are_items(spec) and NEWLINE not in spec.symbols:
        return NEWLINE
    separator = separator.replace('\\n', NEWLINE) if are_items(spec) else ''
    if not separator:
        return BETWEEN
    return separator if separator.startswith(NEWLINE) else f'{NEWLINE}{separator}{NEWLINE}'


def save(
    path: pathlib.Path, x: Num[np.ndarray, 'n length'], spec: Spec, separator: str = ''
) -> list[str]:
    """Decodes x, writes the texts as UTF-8, with `between` as separator, and returns them."""
    texts = decode(x, spec.symbols)
    files.write_text(path, between(spec, separator).join(texts) + '\n')
    return texts


def of_rows(
    x: Num[np.ndarray, 'rows columns length'],
    spec: Spec,
    row_names: Sequence[str],
    column_names: Sequence[str],
) -> str:
    """Returns rows of items as text: one a line, after the name of its column, in columns."""
    width = max((len(name) for name in column_names), default=0)
    blocks = []
    for row, row_name in zip(x, row_names, strict=True):
        shown = [in_one_line(text) for text in decode(row, spec.symbols)]
        lines = [f'{n:<{width}}  {text}' for n, text in zip(column_names, shown, strict=True)]
        blocks.append(NEWLINE.join([row_name, *lines] if row_name else lines))
    return f'{NEWLINE}{NEWLINE}'.join(blocks) + NEWLINE


def in_one_line(text: str) -> str:
    """Returns a text with marks in place of line ends, tabs and what does not print."""
    shown = (VISIBLE.get(letter, letter) for letter in text)
    return ''.join(letter if letter.isprintable() else UNKNOWN for letter in shown)


def arrays_of(
    x: Num[np.ndarray, '*n length'], spec: Spec, name: str = 'text'
) -> dict[str, np.ndarray]:
    """Returns {name: [*n]}, the items x as texts; {} of data that are no items."""
    if not are_items(spec):
        return {}
    flat = decode(np.asarray(x).reshape(-1, spec.num_dims), spec.symbols)
    return {name: np.array(flat).reshape(np.shape(x)[:-1])}
