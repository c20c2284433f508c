"""Items: which tokens of a row belong to an item, and the items of packed rows."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from atelier.data import items, text
from atelier.data.dataset import Dataset
from atelier.data.spec import Spec

SYMBOLS = items.END + 'abc'
ITEMS = st.lists(st.text('abc', min_size=1, max_size=6), min_size=1, max_size=5)


def row_of(names: list[str], length: int) -> np.ndarray:
    joined = ''.join(name + items.END for name in names).ljust(length, items.END)
    return np.array([SYMBOLS.index(symbol) for symbol in joined], np.uint8)


@given(ITEMS, st.integers(0, 4))
def test_only_ends_after_ends_are_padding(names, extra):
    num_tokens = sum(len(name) + 1 for name in names)
    x = row_of(names, num_tokens + extra)[None]
    assert items.unpacked(x, SYMBOLS) == names
    assert items.lengths(x) == [num_tokens]
    np.testing.assert_array_equal(items.is_scored(x)[0], np.arange(x.shape[1]) < num_tokens)


@given(st.lists(ITEMS, min_size=1, max_size=3))
def test_symbols_of_items_are_counted(rows):
    x = np.stack([row_of(names, 40) for names in rows])
    expected = [len(name) for names in rows for name in names]
    assert items.all_num_symbols(x).tolist() == expected
    alone = np.stack([row_of([name], 7) for names in rows for name in names])
    assert items.num_symbols(alone).tolist() == expected
    assert items.num_symbols(np.zeros((1, 3))) == [0]


def test_rows_are_packed_if_one_has_several_items_or_none():
    alone, several = (np.stack([row_of(names, 4)]) for names in (['abc'], ['a', 'b']))
    assert not items.are_packed(alone)
    assert items.are_packed(np.concatenate([alone, several]))
    assert items.are_packed(np.concatenate([alone, np.zeros_like(alone)]))


def test_a_row_of_padding_has_no_item():
    x = np.zeros((1, 3), np.uint8)
    assert items.unpacked(x, SYMBOLS) == []
    assert items.lengths(x) == [0]


def test_a_decoded_item_stops_before_its_end():
    x = np.stack([row_of(['ab'], 4), row_of(['c'], 4)])
    assert text.decode(x, SYMBOLS) == ['ab', 'c']


def test_the_likelihood_of_items_counts_their_tokens_and_their_ends():
    x = np.stack([row_of(['ab'], 4), row_of(['c'], 4)])
    spec = Spec((4,), len(SYMBOLS), None, symbols=SYMBOLS)
    assert items.are_items(spec)
    assert not items.are_items(spec._replace(symbols='abcd'))
    assert Dataset('names', spec, {'test': {'x': x}}, '').scored_dims('test') == 2.5


@given(st.lists(ITEMS, min_size=1, max_size=4), st.integers(0, 3))
def test_packed_rows_become_events(rows, extra):
    size = max(sum(len(name) + 1 for name in names) for names in rows) + extra
    x = np.stack([row_of(names, size) for names in rows])
    whole = [name for names in rows for name in names]
    assert items.count(x) == len(whole)
    assert items.unpacked(x, SYMBOLS) == whole
    events = items.as_events(x, 8)
    assert events.shape == (len(whole), 8) and events.dtype == x.dtype
    np.testing.assert_array_equal(events, np.stack([row_of([name], 8) for name in whole]))
