"""Attributes of a condition: which examples stand at which end, and names that are refused."""

import numpy as np
import pytest

from atelier.applications._contrast import attributes_of, contrast_of
from atelier.data.conditions.labels import Labels
from atelier.data.conditions.numbers import Numbers
from atelier.data.conditions.words import Words

NUMBERS = Numbers(('age', 'word', 'length of hair'), (40.0, 0.0, 1.0), (12.0, 1.0, 0.5))
HAIR = Labels(
    ('hair', 'has glasses'), (('light brown', 'blond', 'black'), ('no', 'yes')), ((0, 0),)
)
WORDS = Words(('circle', 'large', 'red', 'small'), 4)


def test_a_number_is_that_of_its_column():
    age = contrast_of(NUMBERS, 'age', 0, 1)
    assert age.is_number and (age.noun, age.unit) == ('age', 12.0)
    assert contrast_of(NUMBERS, 'age', 0, 1, change=5.0).unit == 5.0
    np.testing.assert_array_equal(age.of(np.array([[30, 1, 2], [50, 1, 2]], np.float32)), [30, 50])
    assert contrast_of(NUMBERS, 'length of hair', 0, 1).column == 2
    assert contrast_of(NUMBERS, 'condition:age', 0, 1).column == 0
    assert contrast_of(NUMBERS, 'weight', 0, 1) is contrast_of(None, 'age', 0, 1) is None


def test_values_of_a_label_are_named_or_counted():
    rows = np.array([[0, 1], [1, 0], [2, 1], [0, 0]])
    hair = contrast_of(HAIR, 'hair', 'light brown', 'blond')
    np.testing.assert_array_equal(hair.of(rows), [0, 1, np.nan, 0])
    assert hair == contrast_of(HAIR, 'hair', 0, '1')
    assert hair.sets == ['hair light brown', 'hair blond']
    glasses = contrast_of(HAIR, 'has glasses', 'no', 'yes')
    np.testing.assert_array_equal(glasses.of(rows), [1, 0, 1, 0])


def test_a_number_among_names_is_a_name(complaint):
    sizes = Labels(('size',), (('10', '20', '0'),), ((0,),))
    assert contrast_of(sizes, 'size', 0, 10).values == (2, 0)
    assert 'the values of size are 10, 20, 0' in complaint(contrast_of, sizes, 'size', 1, 2)


def test_captions_hold_one_word_and_not_the_other():
    rows = np.array([[4, 3, 1, 0], [3, 2, 1, 0], [4, 2, 0, 0], [1, 0, 0, 0]])
    word = contrast_of(WORDS, 'word', 'small', 'Large')
    np.testing.assert_array_equal(word.of(rows), [0, 1, np.nan, np.nan])
    assert word.scale == 'word (small is 0, large is 1)'
    assert word.sets == ['captions with small', 'captions with large']
    assert contrast_of(WORDS, 'small', 0, 1) is None


@pytest.mark.parametrize(
    ('condition', 'attribute', 'source', 'target', 'message'),
    [
        (HAIR, 'hair', 'blnd', 1, '--source=blnd: the values of hair are light brown, blond, bla'),
        (HAIR, 'hair', 'blnd', 1, "(did you mean 'blond'?)"),
        (HAIR, 'hair', 0, 3, '--target=3: the values of hair are'),
        (HAIR, 'hair', 0, -1, '--target=-1: the values of hair are'),
        (HAIR, 'hair', 1, 'blond', '--source=blond --target=blond: the ends have to differ'),
        (WORDS, 'word', 'small', 'huge', '--target=huge: the words of captions of training are'),
        (WORDS, 'word', 0, 1, '--source=0: the words of captions of training are circle, large,'),
        (WORDS, 'word', 'small red', 'large', '--source=small red: the words of captions'),
        (WORDS, 'word', 'small', 'SMALL', 'the ends have to differ'),
    ],
)
def test_ends_that_are_none_are_refused(complaint, condition, attribute, source, target, message):
    assert message in complaint(contrast_of, condition, attribute, source, target)


def test_messages_escape_names_and_list_some():
    many = Labels(('a\nb',), (tuple(f'v{i}\n' for i in range(900)),), ((0,),))
    with pytest.raises(Exception, match='861 more') as caught:
        contrast_of(many, 'a\nb', 'x', 'y')
    assert '\n' not in str(caught.value)
    assert attributes_of(many) == ['a\\nb']


def test_names_of_columns_are_told_from_other_attributes():
    assert attributes_of(NUMBERS, ['age']) == ['condition:age', 'word', 'length of hair']
    assert attributes_of(WORDS) == ['word'] and attributes_of(None) == []
    plain = {name: contrast_of(NUMBERS, name, 0, 1).is_plain for name in NUMBERS.names}
    assert plain == {'age': True, 'word': False, 'length of hair': False}
    assert not contrast_of(NUMBERS, 'condition:age', 0, 1).is_plain
