"""Packing: every item once, rows that are full, the same rows every time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.data import character_names, item_packing

SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=200).map(np.array)


def check_apart(packed, sizes, length):
    """Each item is within its row, and no two items overlap."""
    taken = np.zeros((packed.num_rows, length), int)
    for row, position, size in zip(packed.row, packed.position, sizes, strict=True):
        taken[row, position : position + size] += 1
    assert taken.sum() == sizes.sum() and taken.max() == 1
    assert (np.sort(-taken, 1) == -taken).all()  # padding is at the end of a row


@given(SIZES, st.integers(30, 90))
def test_every_item_has_a_place_of_its_own(sizes, length):
    packed = item_packing.pack(sizes, length)
    check_apart(packed, sizes, length)
    assert len({*packed.row.tolist()}) == packed.num_rows
    again = item_packing.pack(sizes, length)
    np.testing.assert_array_equal(packed.row, again.row)
    np.testing.assert_array_equal(packed.position, again.position)


@given(SIZES, st.integers(1, 300), st.integers(1, 60))
def test_items_are_packed_into_a_number_of_rows(sizes, num_rows, least):
    packed, length = item_packing.pack_into(sizes, num_rows, least)
    assert packed.num_rows == num_rows
    assert max(least, sizes.max()) <= length
    assert length <= max(least, sizes.max(), -(-sizes.sum() // num_rows) + sizes.max())
    check_apart(packed, sizes, length)


@pytest.mark.parametrize(('low', 'high', 'length'), [(2, 30, 128), (20, 58, 256), (60, 500, 2001)])
def test_rows_of_many_items_are_full(low, high, length):
    """Whatever the distribution of sizes: uniform, narrow, mostly small, or two sizes."""
    rng = np.random.default_rng(0)
    for sizes in (
        rng.integers(low, high + 1, 5000),
        np.clip(rng.normal((low + high) / 2, (high - low) / 10, 5000), low, high).astype(int),
        np.clip(low * np.exp(rng.exponential(0.5, 5000)), low, high).astype(int),
    ):
        packed = item_packing.pack(sizes, length)
        assert sizes.sum() / (packed.num_rows * length) > 0.97


def test_the_names_of_characters_fill_their_rows():
    sizes = np.array([len(text) + 1 for text in character_names.items().texts])
    packed = item_packing.pack(sizes, 256)
    assert sizes.sum() / (packed.num_rows * 256) > 0.999


def test_rows_do_not_follow_the_sizes_of_items():
    """Long and short items are anywhere, so any part of the rows is like the others."""
    sizes = np.random.default_rng(0).integers(5, 60, 4000)
    packed = item_packing.pack(sizes, 64)
    assert abs(np.corrcoef(packed.row, sizes)[0, 1]) < 0.1


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.integers(1, 7), st.data())
def test_pieces_are_copied_to_their_places(sizes, chunk, data):
    sizes = np.array(sizes)
    tokens = np.arange(1, 1 + sizes.sum(), dtype=np.uint8)
    first = np.cumsum(sizes) - sizes
    order = np.array(data.draw(st.permutations(range(len(sizes)))))
    gaps = 5 * np.arange(len(sizes))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(item_packing, 'CHUNK', chunk)
        result = item_packing.spread(tokens, first[order], sizes[order], gaps, 5 * len(sizes))
    assert result.dtype == tokens.dtype
    for i, start in zip(order, gaps, strict=True):
        expected = np.zeros(5)
        expected[: sizes[i]] = tokens[first[i] : first[i] + sizes[i]]
        np.testing.assert_array_equal(result[start : start + 5], expected)
