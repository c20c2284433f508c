"""A number of each example: lengths of items, functions typed as FILE:FUNCTION."""

import numpy as np
import pytest

from atelier.applications._property import property_of
from atelier.data import items
from atelier.data.spec import Spec
from atelier.data.text import encode
from atelier.errors import UserError

SPEC = Spec((6,), 4, None, symbols=items.END + 'abc')
SOURCE = """
import beside_it

def length(item: str) -> float:
    return len(item) if item != 'c' else None

def is_short(item):
    return len(item) < beside_it.LIMIT

def late(item):
    import beside_it
    return beside_it.LIMIT

def parsed(item):
    return float(item.replace('a', '1'))

def broken(item):
    return 1 / 0

def named(item):
    return item

def total(x):
    return x.sum()

number = 3
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / 'beside_it.py').write_text('LIMIT = 2\n')
    path = tmp_path / 'mine.py'
    path.write_text(SOURCE)
    return path


def events(*names):
    return np.stack([encode(name.ljust(6, items.END), SPEC.symbols) for name in names])


def test_the_length_of_an_item_is_without_its_end():
    prop = property_of('--by', 'length', SPEC)
    assert prop.name == 'length in symbols'
    np.testing.assert_array_equal(prop.of(events('abc', 'a', 'abcab')), [3, 1, 5])


def test_only_items_have_a_length():
    with pytest.raises(UserError, match='--by=length: only items, texts that end, have a length'):
        property_of('--by', 'length', Spec((2,), None, None))


@pytest.mark.parametrize(
    ('name', 'expected'),
    [('length', [3, np.nan]), ('is_short', [0, 1]), ('late', [2, 2]), ('parsed', [np.nan] * 2)],
)
def test_a_function_gets_items_as_texts(file, name, expected):
    """None is nan, and so is an error of a parser; it may import what is beside its file."""
    prop = property_of('--by', f'{file}:{name}', SPEC)
    assert prop.name == name
    np.testing.assert_array_equal(prop.of(events('abc', 'c')), expected)


def test_a_function_gets_other_data_as_arrays(file):
    prop = property_of('--by', f'{file}:total', Spec((2,), None, None))
    np.testing.assert_array_equal(prop.of(np.array([[1.0, 2.0], [3.0, 4.0]])), [3, 7])


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        ('lenght', r"--by=lenght: give length or FILE.py:FUNCTION \(did you mean 'length'\?\)"),
        ('{file}:lenght', r"mine.py has no function lenght \(did you mean 'length'\?\)"),
        ('{file}:number', 'mine.py has no function number'),
        ('{file}:no name', 'give FILE:FUNCTION'),
        ('gone.py:length', 'there is no file .*gone.py'),
    ],
)
def test_a_missing_function_is_said_in_a_line(file, value, message):
    with pytest.raises(UserError, match=message):
        property_of('--by', value.format(file=file), SPEC)


def test_what_is_no_number_is_said_in_a_line(file):
    with pytest.raises(UserError, match="named returned 'abc' for 'abc': return a number or None"):
        property_of('--by', f'{file}:named', SPEC).of(events('abc'))


def test_a_mistake_in_a_function_is_not_hidden(file):
    with pytest.raises(ZeroDivisionError):
        property_of('--by', f'{file}:broken', SPEC).of(events('abc'))
