"""Several labels are one-hot features, one after the other, and are requested by name."""

import itertools

import numpy as np
import pytest

from atelier.data.conditions.condition import of_training
from atelier.data.conditions.labels import Labels
from atelier.errors import UserError

HAIR = Labels(('hair', 'length'), (('brown', 'blond', 'red'), ('short', 'long')))
ALL = np.array([*itertools.product(range(3), range(2))], np.int32)


def test_features_are_one_hot():
    features = np.asarray(HAIR.features(ALL))
    assert features.shape == (6, HAIR.num_features)
    np.testing.assert_array_equal(features[:, :3].argmax(1), ALL[:, 0])
    np.testing.assert_array_equal(features[:, 3:].argmax(1), ALL[:, 1])
    np.testing.assert_array_equal(features.sum(1), 2)


def test_each_combination_is_requested_by_its_names():
    for row in ALL.tolist():
        names = ','.join(values[i] for values, i in zip(HAIR.values, row, strict=True))
        assert HAIR.parsed(names) == row
    assert HAIR.described([1, 0]) == 'hair blond, length short'


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('blond', 'a condition has 2 values'),
        ('blnd,short', 'no such value .did you mean .?blond'),
        ('green,short', 'condition hair=.green.: no such value: give brown, blond, red'),
    ],
)
def test_other_requests_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        HAIR.parsed(text)


def test_a_value_that_training_lacks_is_no_request():
    hair = of_training(HAIR, ALL[ALL[:, 0] != 1])
    assert hair.untrained == (('blond',), ())
    assert hair.is_trained(ALL).tolist() == [[row[0] != 1, True] for row in ALL.tolist()]
    assert of_training(HAIR, ALL).is_trained(ALL).all()
    message = 'hair=.blond.: no example of training has this value: give brown, red$'
    with pytest.raises(UserError, match=message):
        hair.parsed('blond,short')
    assert hair.parsed('red,long') == [2, 1]


def test_a_constant_label_is_refused_by_name():
    with pytest.raises(UserError, match='condition length is constant'):
        of_training(HAIR, ALL * [1, 0])
