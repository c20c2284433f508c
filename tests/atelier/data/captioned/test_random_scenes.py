"""Random scenes: objects apart, relations without doubt, pairs held out."""

import collections
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.data.captioned.random_scenes import GAP, MARGIN, MAX_SHIFT, random_examples
from atelier.data.captioned.scenes import (
    HELD_OUT,
    HIGH,
    LOW,
    PLACES,
    RELATIONS,
    SEEN,
    SIDE,
    SIZES,
    relation_of,
)


def examples(num_objects, is_unseen=False, seed=0, count=1500):
    return random_examples(np.random.RandomState(seed), count, num_objects, is_unseen)


def pixels(each, widened=0):
    side = SIZES[each.size] + widened
    ranges = [range(first - widened, first + side) for first in (each.left, each.top)]
    return {*itertools.product(*ranges)}


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**31), is_unseen=st.booleans())
def test_objects_are_inside_and_apart_and_their_relation_is_clear(seed, is_unseen):
    inside = {*itertools.product(range(SIDE), repeat=2)}
    for (first, second), request in examples(2, is_unseen, seed, 100):
        assert pixels(first) | pixels(second) <= inside
        assert not pixels(first, GAP) & pixels(second)
        assert first.pair != second.pair
        shift, distance = sorted(
            abs(a - b) for a, b in zip(first.centre, second.centre, strict=True)
        )
        assert shift <= MAX_SHIFT < distance
        assert request.relation == relation_of(first, second)


def test_a_single_object_is_clearly_in_its_place():
    for (each,), _ in examples(1):
        assert min(abs(c - border) for c in each.centre for border in (LOW, HIGH)) >= MARGIN


@pytest.mark.parametrize('num_objects', [1, 2])
def test_a_pair_is_held_out_in_each_unseen_scene_and_in_no_other_one(num_objects):
    for scene, _ in examples(num_objects):
        assert all(each.pair in SEEN for each in scene)
    unseen = [scene for scene, _ in examples(num_objects, True)]
    assert all(any(each.pair in HELD_OUT for each in scene) for scene in unseen)
    assert {each.pair for scene in unseen for each in scene} == {
        *HELD_OUT,
        *(SEEN if num_objects == 2 else ()),
    }
    first = np.mean([scene[0].pair in HELD_OUT for scene in unseen])
    assert first == 1 if num_objects == 1 else 0.5 < first < 0.7


def test_all_that_a_scene_can_be_occurs_about_equally_often():
    """Each count is binomial; five standard deviations."""
    one, two = examples(1), examples(2)
    counts = [
        (len(SEEN), collections.Counter(scene[0].pair for scene, _ in one)),
        (len(SEEN), collections.Counter(scene[1].pair for scene, _ in two)),
        (len(RELATIONS), collections.Counter(request.relation for _, request in two)),
        (2, collections.Counter(scene[0].size for scene, _ in two)),
        (2, collections.Counter(request.objects[0].size is None for _, request in one)),
        (2, collections.Counter(request.objects[0].place is None for _, request in one)),
        (2, collections.Counter(request.objects[1].size is None for _, request in two)),
    ]
    for kinds, counter in counts:
        n, p = counter.total(), 1 / kinds
        assert len(counter) == kinds
        assert max(abs(k - n * p) for k in counter.values()) < 5 * np.sqrt(n * p * (1 - p))
    assert {scene[0].place for scene, _ in one} == {*PLACES.values()}
