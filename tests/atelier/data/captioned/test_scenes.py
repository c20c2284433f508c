"""Places and relations of objects, by their centres."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.data.captioned.scenes import (
    COLOURS,
    HELD_OUT,
    PAIRS,
    RELATIONS,
    SEEN,
    SHAPES,
    Object,
    relation_of,
)

OPPOSITE = {'left of': 'right of', 'right of': 'left of', 'above': 'below', 'below': 'above'}
POSITIONS = st.integers(0, 9)


def small(left, top):
    return Object('red', 'circle', 'small', left, top)


@pytest.mark.parametrize(
    ('left', 'top', 'place'),
    [
        (0, 0, 'at the top left'),
        (11, 0, 'at the top right'),
        (5, 5, 'in the middle'),
        (5, 11, 'at the bottom'),
        (0, 6, 'at the left'),
        (2, 11, 'at the bottom left'),
        (3, 3, 'in the middle'),  # centre 5.5
        (8, 2, 'at the top right'),  # centres 10.5 and 4.5
    ],
)
def test_a_place_is_a_third_of_each_axis(left, top, place):
    assert small(left, top).place == place


def test_what_has_no_size_has_no_place():
    assert Object('red', None, None, 3, 3).place is None


@given(left=POSITIONS, top=POSITIONS, other_left=POSITIONS, other_top=POSITIONS)
def test_the_second_object_is_in_the_opposite_relation(left, top, other_left, other_top):
    first, second = small(left, top), small(other_left, other_top)
    if first != second:
        assert relation_of(second, first) == OPPOSITE[relation_of(first, second)]


def test_the_larger_distance_decides():
    assert relation_of(small(0, 3), small(9, 0)) == 'left of'
    assert relation_of(small(3, 0), small(0, 9)) == 'above'
    assert {*RELATIONS.values()} == {*OPPOSITE}


def test_every_colour_and_every_shape_is_in_a_pair_of_training():
    assert {*SEEN} | {*HELD_OUT} == {*PAIRS} and not {*SEEN} & {*HELD_OUT}
    for colour in COLOURS:
        assert sum(pair[0] == colour for pair in SEEN) >= 3
    for shape in SHAPES:
        assert sum(pair[1] == shape for pair in SEEN) >= 4
    assert 0.15 < len(HELD_OUT) / len(PAIRS) < 0.25
