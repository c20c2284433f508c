"""Edits of items against the recursion that defines them; squared errors of other data."""

import functools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from atelier.data import items
from atelier.data.spec import Spec
from atelier.data.text import encode
from atelier.evaluation.examples import reconstruction_errors
from atelier.evaluation.examples.reconstruction_errors import edits, errors_of

SYMBOLS = items.END + 'abc'
TEXT = st.text('abc', max_size=6)


def events(names):
    return np.stack([encode(name.ljust(7, items.END), SYMBOLS) for name in names])


@functools.cache
def distance(x: str, y: str) -> int:
    if not x or not y:
        return len(x) + len(y)
    if x[0] == y[0]:
        return distance(x[1:], y[1:])
    return 1 + min(distance(x[1:], y), distance(x, y[1:]), distance(x[1:], y[1:]))


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5))
def test_edits_are_those_of_the_recursion(pairs):
    x, y = (events(names) for names in zip(*pairs, strict=True))
    assert edits(x, y).tolist() == [distance(*pair) for pair in pairs]


def test_many_items_are_compared_in_parts(monkeypatch):
    x, y = events(['abc', 'ab', 'c', 'aa']), events(['abc', 'b', 'cab', 'bb'])
    whole = edits(x, y)
    monkeypatch.setattr(reconstruction_errors, 'CHUNK', 14)
    np.testing.assert_array_equal(edits(x, y), whole)
    assert whole.tolist() == [0, 1, 2, 2]
    assert edits(x[:0], y[:0]).tolist() == []


def test_items_have_edits_and_other_data_squared_errors():
    x, y = events(['abc', 'ab']), events(['abc', 'a'])
    errors = errors_of(x, y.astype(np.float32), Spec((7,), 4, None, symbols=SYMBOLS))
    assert {name: each.tolist() for name, each in errors.items()} == {
        'edits': [0, 1],
        'is_equal': [True, False],
    }
    errors = errors_of(np.array([[1.0, 2.0]]), np.array([[0.0, 0.0]]), Spec((2,), None, None))
    assert {name: each.tolist() for name, each in errors.items()} == {'half_squared_error': [2.5]}
