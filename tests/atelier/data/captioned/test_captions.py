"""Captions and what they ask, in both directions."""

import itertools

import pytest

from atelier.data.captioned.captions import (
    Request,
    RequestedObject,
    caption_of,
    parse,
)
from atelier.data.captioned.scenes import PAIRS, PLACES, RELATIONS, SIZES

SIZED = [RequestedObject(*pair, size) for pair in PAIRS for size in (None, *SIZES)]
ONE = [
    Request((each._replace(place=place),)) for each in SIZED for place in (None, *PLACES.values())
]
TWO = [
    Request((first, second), relation)
    for first, second, relation in itertools.product(SIZED, SIZED[::7], RELATIONS.values())
]


def test_each_request_is_read_back_from_its_caption_and_no_two_captions_are_equal():
    requests = ONE + TWO
    captions = [caption_of(request) for request in requests]
    assert [parse(caption) for caption in captions] == requests
    assert len({*captions}) == len(requests) > 3000


def test_captions_are_plain_english():
    large = RequestedObject('green', 'square', 'large')
    assert caption_of(Request((large._replace(place='in the middle'),))) == (
        'a large green square in the middle'
    )
    assert caption_of(Request((large, RequestedObject('blue', 'circle')), 'left of')) == (
        'a large green square left of a blue circle'
    )


@pytest.mark.parametrize('caption', ['A small RED circle', ' a small  red circle '])
def test_case_and_spaces_make_no_difference(caption):
    assert parse(caption) == Request((RequestedObject('red', 'circle', 'small'),))


@pytest.mark.parametrize(
    'caption',
    [
        '',
        'a circle',
        'a red small circle',
        'a red circle at the',
        'a red circle a blue square',
        'a red circle at the top above a blue square',
        'a red circle above a blue square at the top',
        'a red circle left of a blue square above a green cross',
        'a red circles',
    ],
)
def test_other_texts_are_no_captions(caption):
    assert parse(caption) is None
