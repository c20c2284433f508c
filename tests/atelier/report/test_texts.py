"""Texts in files and in lines: separators, marks, and rows of items."""

import numpy as np
import pytest

from atelier.data import items
from atelier.data.spec import Spec
from atelier.data.text import encode
from atelier.report import texts

ONE_LINE, LINES = (Spec((5,), 4, None, symbols=items.END + more) for more in ('ab\t', 'ab\n'))
WINDOWS = Spec((5,), 3, None, symbols='ab\n')


def events(spec, *names):
    return np.stack([encode(name.ljust(5, items.END), spec.symbols) for name in names])


@pytest.mark.parametrize(
    ('spec', 'separator', 'between'),
    [
        (ONE_LINE, '', '\n'),
        (ONE_LINE, '%', '\n'),
        (LINES, '', texts.BETWEEN),
        (LINES, '%', '\n%\n'),
        (LINES, r'\n\n', '\n\n'),
        (WINDOWS, '%', texts.BETWEEN),
    ],
)
def test_texts_stand_apart_in_a_file(tmp_path, spec, separator, between):
    assert texts.between(spec, separator) == between
    x = events(LINES, 'a', 'ba')
    if spec is WINDOWS:
        x = np.array([[0, 1, 0, 1, 2], [1, 1, 1, 1, 1]])
    written = texts.save(tmp_path / 'a.txt', x, spec, separator)
    assert (tmp_path / 'a.txt').read_text() == between.join(written) + '\n'


def test_what_does_not_print_has_a_mark():
    assert texts.in_one_line('a\nb\tc\x07\0') == 'a↵b→c□■'


def test_rows_are_written_a_line_an_item():
    x = np.stack([events(ONE_LINE, 'a', 'ab'), events(ONE_LINE, 'b', 'b\ta')])
    written = texts.of_rows(x, ONE_LINE, ['linear', ''], ['0', '0.5'])
    assert written == 'linear\n0    a\n0.5  ab\n\n0    b\n0.5  b→a\n'


def test_only_items_have_arrays_of_texts():
    x = events(ONE_LINE, 'a', 'ab')
    assert texts.arrays_of(x, ONE_LINE)['text'].tolist() == ['a', 'ab']
    assert texts.arrays_of(x[None], ONE_LINE, 'b')['b'].tolist() == [['a', 'ab']]
    assert texts.arrays_of(x, WINDOWS) == {}
    assert texts.arrays_of(x[:0], ONE_LINE)['text'].shape == (0,)
