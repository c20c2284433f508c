"""A condition survives config.json; a record that cannot be right is refused."""

import json

import numpy as np
import pytest

from atelier.data.conditions.condition import (
    MAX_EXAMPLES,
    from_record,
    of_training,
    recorded,
)
from atelier.data.conditions.labels import Labels
from atelier.data.conditions.numbers import Numbers
from atelier.data.conditions.words import of_captions

NUMBERS = of_training(Numbers(('a', '\n')), np.arange(200, dtype=np.float32).reshape(100, 2) / 3)
LABELS = of_training(Labels(('hair',), (('x', 'y'),)), np.arange(9)[:, None] % 2)
WORDS = of_captions(['a red circle', 'blue'])
WORDS = of_training(WORDS, np.array([WORDS.parsed('red'), WORDS.parsed('a blue')], np.int32))
ALL = [NUMBERS, LABELS, WORDS]
SOME_LABELS = of_training(Labels(('hair',), (('x', 'y', 'z'),)), np.arange(9)[:, None] % 2)


@pytest.mark.parametrize('condition', [*ALL, SOME_LABELS])
def test_a_record_is_read_again(condition):
    stored = json.loads(json.dumps(recorded(condition)))
    assert from_record(stored) == condition
    assert recorded(None) is None
    assert from_record(None) is None


def test_records_of_earlier_versions_do_not_say_what_training_lacks():
    assert recorded(SOME_LABELS)['untrained'] == (('z',),)
    assert 'untrained' not in recorded(LABELS)
    assert WORDS.untrained == ('circle',) and recorded(WORDS)['untrained'] == ('circle',)


def test_examples_are_of_the_whole_training_split_and_few():
    assert len(NUMBERS.examples) == MAX_EXAMPLES
    assert NUMBERS.examples[0] == (0.0, pytest.approx(1 / 3))
    assert NUMBERS.examples[-1] == (66.0, pytest.approx(199 / 3))
    many = of_training(Numbers(tuple(map(str, range(1000)))), np.random.rand(100, 1000))
    assert len(many.examples) == 4


@pytest.mark.parametrize(
    ('condition', 'changes'),
    [
        (NUMBERS, {'kind': 'other'}),
        (NUMBERS, {'kind': ['numbers']}),
        (NUMBERS, {'kind': {}}),
        (NUMBERS, {'std': [1.0, 0.0]}),
        (NUMBERS, {'std': [1.0, 1e-320]}),
        (NUMBERS, {'std': [1.0, 1e38]}),
        (NUMBERS, {'mean': [1.0]}),
        (NUMBERS, {'mean': [1.0, 10**400]}),
        (NUMBERS, {'names': ['a', 'a']}),
        (NUMBERS, {'names': ['a', '\ud800']}),
        (NUMBERS, {'examples': []}),
        (NUMBERS, {'examples': [[1.0, None]]}),
        (NUMBERS, {'more': 1}),
        (LABELS, {'examples': [[2]]}),
        (LABELS, {'examples': [[True]]}),
        (LABELS, {'values': [['x', 'y'], ['z']]}),
        (LABELS, {'values': 'xy'}),
        (LABELS, {'untrained': [['z']]}),
        (LABELS, {'untrained': [['x', 'y']]}),
        (LABELS, {'untrained': [['x'], []]}),
        (LABELS, {'untrained': [[['x']]]}),
        (LABELS, {'untrained': 1}),
        (WORDS, {'untrained': ['z']}),
        (WORDS, {'untrained': [{}]}),
        (NUMBERS, {'untrained': []}),
        (WORDS, {'length': 1}),
        (WORDS, {'length': 10**9}),
        (WORDS, {'vocabulary': ['a'] * 3}),
        (WORDS, {'examples': [[99, 0, 0, 0]]}),
    ],
)
def test_other_records_are_refused(condition, changes):
    stored = json.loads(json.dumps(recorded(condition))) | changes
    with pytest.raises(ValueError):
        from_record(stored)
    with pytest.raises(ValueError):
        from_record([stored])
