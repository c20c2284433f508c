"""Columns become numbers, labels or captions by their values; mistakes name the line."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.data import condition_columns
from atelier.data.condition_columns import Columns, arrays_of, joined, rows_as
from atelier.data.conditions.labels import Labels
from atelier.data.conditions.numbers import Numbers
from atelier.data.conditions.words import of_captions

FLOATS = st.integers(-1000, 1000) | st.integers(-8000, 8000).map(lambda i: i / 8)
LABELS = st.text(st.characters(codec='utf-8', exclude_characters=',')).map(str.strip)


def of(**values):
    return Columns(values, lambda i: f'line {i + 1}')


@given(rows=st.lists(st.tuples(FLOATS, FLOATS), min_size=1, max_size=5))
def test_numbers_round_trip(rows):
    ages, heights = map(list, zip(*rows, strict=True))
    arrays, condition, _ = arrays_of(of(age=ages, height=[*map(float, heights)]))
    assert condition == Numbers(('age', 'height'))
    assert arrays['condition'].dtype == np.float64
    np.testing.assert_array_equal(arrays['condition'], np.array(rows))
    again = rows_as(condition, of(age=ages, height=heights))
    np.testing.assert_array_equal(again, arrays['condition'])


@given(texts=st.lists(LABELS.filter(lambda text: 0 < len(text) < 200), min_size=1, max_size=5))
def test_labels_round_trip(texts):
    arrays, condition, _ = arrays_of(of(hair=texts))
    index = arrays['condition'][:, 0].tolist()
    assert [condition.values[0][i] for i in index] == texts
    np.testing.assert_array_equal(rows_as(condition, of(hair=texts)), arrays['condition'])


def test_labels_are_in_natural_order_and_may_be_true_or_false():
    arrays, condition, _ = arrays_of(of(size=['a10', 'a2', 'a2'], smiles=[True, False, True]))
    assert condition == Labels(('size', 'smiles'), (('a2', 'a10'), ('false', 'true')))
    assert arrays['condition'].tolist() == [[1, 1], [0, 0], [0, 1]]
    assert arrays['condition'].dtype == np.int32


@pytest.mark.parametrize('name', ['caption', 'text'])
def test_captions_stay_texts(name):
    arrays, condition, _ = arrays_of(of(**{name: ['a cat', '1984']}))
    assert condition is None and arrays['caption'].tolist() == ['a cat', '1984']


@pytest.mark.parametrize(
    ('values', 'fault'),
    [
        (dict(age=[1, None]), 'line 2: age is missing: give every example one'),
        (dict(hair=['a', ' ']), 'line 2: hair is missing'),
        (dict(age=[1, 'x']), "line 2: age is 'x', and 1 in line 1: give only numbers"),
        (dict(age=[1, True]), 'line 2: age is True, and 1 in line 1'),
        (dict(age=[1.0, [2]]), 'line 2: age is [2]: give a number, a text, or true or false'),
        (dict(age=[1.0, float('nan')]), 'line 2: age is nan: give a finite number'),
        (dict(age=[1.0, float('-inf')]), 'line 2: age is -inf'),
        (dict(age=[1.0, 10**400]), 'line 2: age is 1000'),
        (dict(age=[1.0, 1e39]), 'line 2: age is 1e+39'),
        (dict(age=[1, 2], hair=['a', 'b']), 'age has numbers and hair labels'),
        (dict(hair=['a', 'b, c']), "line 2: hair is 'b, c': a comma"),
        (dict(hair=['a', 'b' * 201]), 'longer than 200 characters: rename it'),
        (dict(hair=['a', '\ud800']), 'characters that no file can hold'),
        (dict(hair=[f'{i}' for i in range(1001)]), 'captions are read from caption or text'),
        (dict(caption=['a', '']), 'line 2: caption is missing or empty'),
        (dict(caption=['a', 3]), 'line 2: caption is 3: give a text'),
        (dict(caption=['a', '\ud800']), 'line 2: caption is'),
        (dict(text=['a', 'a ' + 'b' * 201]), "line 2: text is 'a bb"),
        (dict(text=['a', 'a ' + 'b' * 201]), "its word 'bb"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(values, fault, complaint):
    assert fault in complaint(arrays_of, of(**values))


def test_captions_too_long_for_memory_are_refused(complaint, monkeypatch):
    monkeypatch.setattr(condition_columns, 'total_bytes', lambda: 1000)
    line = complaint(arrays_of, of(caption=['a', 'a long one ' * 20]))
    assert line.startswith('line 2: caption has 220 characters, too many')


@pytest.mark.parametrize(
    ('condition', 'values', 'fault'),
    [
        (Numbers(('age',)), dict(age=[1, 'old']), "line 2: condition age='old': give a number"),
        (Numbers(('age',)), dict(age=[1, float('nan')]), 'line 2: condition age='),
        (Numbers(('age',)), dict(age=[1, 1e39]), "line 2: condition age='1e+39'"),
        (Labels(('hair',), (('a', 'b'),)), dict(hair=['a', 'c']), "line 2: condition hair='c'"),
        (Labels(('hair',), (('a', 'b'),)), dict(hair=['a', None]), 'line 2: hair is missing'),
        (of_captions(['a cat']), dict(caption=['cat', 'a dog']), "line 2: the word 'dog'"),
        (of_captions(['a cat']), dict(text=['a', 'a a a']), 'line 2: the caption'),
        (of_captions(['a cat']), dict(text=['a', {}]), 'line 2: text is {}: give a text'),
    ],
)
def test_what_training_lacks_is_refused_with_its_place(condition, values, fault, complaint):
    assert fault in complaint(rows_as, condition, of(**values))


def test_columns_of_several_files_are_joined(complaint):
    second = Columns({'age': [3]}, lambda i: f'other line {i + 1}', ('a note',))
    both = joined([of(age=[1, 2]), second], 'folder')
    assert both.values == {'age': [1, 2, 3]} and both.notes == ('a note',)
    assert [both.place(i) for i in range(3)] == ['line 1', 'line 2', 'other line 1']
    assert joined([None, of()], 'folder') is None
    assert 'different columns' in complaint(joined, [second, None], 'folder')
