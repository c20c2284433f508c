"""Which facts of a caption are true of a picture, and which it does not ask for."""

import numpy as np
import pytest

from atelier.data.captioned.agreement import FACTS, GROUPS, agreement
from atelier.data.captioned.drawing import draw
from atelier.data.captioned.scenes import Object

RED, BLUE = Object('red', 'circle', 'small', 0, 5), Object('blue', 'square', 'large', 9, 4)
ASKED = 'a small red circle left of a blue square'
ONE = 'a small red circle at the left'
SHAPES = {'colour': 1, 'shape': 1, 'colour_and_shape': 1}
NOTHING = dict.fromkeys(FACTS, np.nan)


def facts(scene, caption):
    found = agreement(draw([scene]), [caption]).facts
    assert [*found] == [*FACTS] and all(each.dtype == np.float32 for each in found.values())
    return {name: each[0] for name, each in found.items()}


@pytest.mark.parametrize(
    ('caption', 'scene', 'wrong'),
    [
        (ASKED, (RED, BLUE), ()),
        (ASKED, (RED._replace(left=9), BLUE._replace(left=0)), ['relation']),
        (ASKED, (RED._replace(size='large', left=0), BLUE), ['size']),
        (
            ASKED,
            (RED._replace(colour='blue'), BLUE._replace(colour='red')),
            ['colour_and_shape', 'relation'],
        ),
        (
            ASKED,
            (RED._replace(shape='cross'), BLUE),
            ['shape', 'colour_and_shape', 'relation'],
        ),
        (ASKED, (RED,), ['number', 'colour', 'shape', 'colour_and_shape', 'relation']),
        (ONE, (RED,), ()),
        (ONE, (RED, BLUE), ['number']),
        (ONE, (BLUE, RED), ['number']),
        (ONE, (RED._replace(left=11),), ['place']),
        (ONE, (RED._replace(colour='green'),), ['colour', 'colour_and_shape']),
        (ONE, (), ['number', 'colour', 'shape', 'colour_and_shape', 'size', 'place']),
    ],
)
def test_only_what_is_wrong_is_wrong(caption, scene, wrong):
    is_asked = {'place': caption == ONE, 'relation': caption == ASKED}
    expected = {name: float(name not in wrong) for name in FACTS}
    expected |= {name: np.nan for name, asked in is_asked.items() if not asked}
    expected['everything'] = float(not wrong)
    np.testing.assert_equal(facts(scene, caption), expected)


def test_what_is_not_asked_for_is_nan():
    scene = (RED,)
    no_more = {'place': np.nan, 'size': np.nan, 'relation': np.nan}
    expected = {**SHAPES, 'number': 1, **no_more, 'everything': 1}
    np.testing.assert_equal(facts(scene, 'a red circle'), expected)
    np.testing.assert_equal(facts(scene, 'a circle, red'), NOTHING)


def test_two_objects_of_one_colour_need_two():
    caption = 'a red circle left of a red square'
    assert facts((RED, BLUE), caption)['colour'] == 0
    assert facts((RED, BLUE._replace(colour='red')), caption)['everything'] == 1


def test_captions_are_grouped_by_their_objects_and_held_out_pairs():
    captions = [
        *('a red circle', 'a red triangle', ASKED, 'a red circle above a blue circle'),
        'no caption',
    ]
    groups = agreement(draw([(RED,)] * 5), captions).groups
    assert [*groups] == [*GROUPS.values()]
    np.testing.assert_array_equal([*groups.values()], np.eye(4, 5, dtype=bool))
