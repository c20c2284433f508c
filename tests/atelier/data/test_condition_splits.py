"""Captions become tokens of the words of training and validation, and lose no example silently."""

import numpy as np
import pytest

from atelier.data import origins
from atelier.data.condition_splits import CAPTION, conditioned
from atelier.data.conditions.condition import KEY
from atelier.data.conditions.labels import Labels
from atelier.data.conditions.numbers import Numbers
from atelier.data.dataset import Dataset
from atelier.data.spec import Spec
from atelier.errors import UserError


def data_of(**captions) -> Dataset:
    splits = {
        name: {'x': np.arange(len(texts), dtype=np.float32)[:, None], CAPTION: np.array(texts)}
        for name, texts in captions.items()
    }
    sizes = {name: len(texts) for name, texts in captions.items()}
    return Dataset(
        'arrays', Spec((1,), None, None), splits, '', origins=origins.of_splits('d', sizes)
    )


def test_test_examples_with_other_words_are_left_out_and_counted():
    data = conditioned(data_of(train=['red', 'a blue'], valid=['green'], test=['red', 'x', 'blue']))
    words = data.spec.condition
    assert words.vocabulary == ('a', 'blue', 'green', 'red')
    np.testing.assert_array_equal(data.splits['test']['x'][:, 0], [0, 2])
    texts = [words.described(row) for row in data.splits['test'][KEY].tolist()]
    assert texts == ['red', 'blue']
    left_out = '1 example of test left out: training lacks words of their captions'
    assert data.notes[0] == left_out
    assert data.origin_of('test')['row'].tolist() == [0, 2]
    assert all(CAPTION not in split for split in data.splits.values())


def test_what_only_validation_and_test_have_is_named_and_counted():
    data = conditioned(data_of(train=['red', 'a'], valid=['green', 'a'], test=['green', 'red']))
    assert data.spec.condition.untrained == ('green',)
    assert data.notes == (
        'training lacks the words green: requests of them are refused; examples with them, which '
        'results count: 1 of valid, 1 of test',
    )
    rows = {'train': [0, 2], 'valid': [0, 2], 'test': [3, 3]}
    splits = {k: {'x': np.zeros((2, 1)), KEY: np.array(v)[:, None]} for k, v in rows.items()}
    hair = Labels(('hair',), (tuple('abcd'),))
    data = conditioned(Dataset('arrays', Spec((1,), None, None, condition=hair), splits, ''))
    assert data.spec.condition.untrained == (('b', 'd'),)
    assert data.notes == (
        'training lacks the values hair b, hair d: requests of them are refused; examples with '
        'them, which results count: 2 of test',
    )


@pytest.mark.parametrize(
    ('captions', 'message'),
    [
        (dict(train=['red', ''], valid=['red'], test=['red']), 'caption 2 is empty'),
        (dict(train=['red', 'blue'], valid=['red'], test=['']), 'a caption is empty'),
        (dict(train=['red', 'blue'], valid=['red'], test=['x']), 'each caption of test'),
        (dict(train=['red', 'red'], valid=['red'], test=['red']), 'all captions'),
        (dict(train=['a ' * 2000, 'b'], valid=['a'], test=['a']), 'at most'),
    ],
)
def test_captions_without_use_are_refused(captions, message):
    with pytest.raises(UserError, match=message):
        conditioned(data_of(**captions))


def test_numbers_are_float32_as_training_fixes_them():
    splits = {
        name: {'x': np.zeros((9, 1)), KEY: np.random.rand(9, 1)} for name in ('train', 'test')
    }
    data = Dataset('arrays', Spec((1,), None, None, condition=Numbers(('a',))), splits, '')
    for name, split in conditioned(data).splits.items():
        np.testing.assert_array_equal(split[KEY], splits[name][KEY].astype(np.float32))


def test_too_many_columns_are_refused_and_no_condition_stays_none():
    split = {'x': np.zeros((3, 1), np.float32), KEY: np.random.rand(3, 2000)}
    spec = Spec((1,), None, None, condition=Numbers(tuple(map(str, range(2000)))))
    data = Dataset('arrays', spec, {'train': split}, '')
    with pytest.raises(UserError, match='2,000 columns'):
        conditioned(data)
    plain = data._replace(spec=spec._replace(condition=None))
    assert conditioned(plain) is plain
