"""Captions round-trip through tokens; empty, too long and unknown ones are refused."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.data.conditions import words
from atelier.data.conditions.words import END, of_captions, words_of
from atelier.errors import UserError

WORDS = of_captions(['a red circle', 'a small, blue square', 'Red!'])
KNOWN = st.sampled_from(WORDS.vocabulary)


@settings(max_examples=50, deadline=None)
@given(st.lists(KNOWN, min_size=1, max_size=WORDS.length - 1))
def test_captions_of_known_words_round_trip(known):
    row = WORDS.parsed(' '.join(known))
    assert len(row) == WORDS.length
    assert row[len(known) :] == [END] * (WORDS.length - len(known))
    assert WORDS.described(row) == ' '.join(known)


def test_accents_are_the_same_however_they_are_written():
    parts = unicodedata.normalize('NFD', 'Café')
    assert len(parts) == 5 and words_of(parts) == words_of('café') == ['café']
    assert of_captions(['un café']).parsed(parts) == [1, 0, 0]


def test_an_unknown_word_has_no_token():
    assert WORDS.tokens('a rad, RED!') == [3, None, 2, 6, 1]


def test_all_captions_are_read_with_one_table_of_the_words():
    again = of_captions(['a red circle', 'a small, blue square', 'Red!'])
    assert words._tokens_of(WORDS.vocabulary) is words._tokens_of(again.vocabulary)


def test_words_are_lower_case_and_marks_are_words():
    assert words_of('A small, BLUE square') == ['a', 'small', ',', 'blue', 'square']
    assert WORDS.vocabulary == ('!', ',', 'a', 'blue', 'circle', 'red', 'small', 'square')
    assert WORDS.length == 6  # five words and the end


def test_a_word_that_training_lacks_is_no_request():
    rows = np.array([WORDS.parsed('a red circle'), WORDS.parsed('a small, blue square')], np.int32)
    fitted = WORDS.fitted(rows)
    assert fitted.untrained == ('!',)
    assert fitted.parsed('red square') == WORDS.parsed('red square')
    with pytest.raises(UserError, match="the word '!' is in no caption of training$"):
        fitted.parsed('Red!')
    assert fitted.is_trained(np.array([WORDS.parsed('red!')], np.int32)).tolist() == [
        [True, False, True, True, True, True]
    ]
    assert WORDS.is_trained(rows).all()


def test_features_are_the_token_at_each_position():
    rows = np.array([WORDS.parsed('a red circle'), WORDS.parsed('blue')], np.int32)
    features = np.asarray(WORDS.features(rows)).reshape(2, WORDS.length, WORDS.num_tokens)
    np.testing.assert_array_equal(features.argmax(-1), rows)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'an empty caption'),
        ('   ', 'an empty caption'),
        ('a a a a a a', 'has 6 words, more than the 5 of the longest caption'),
        ('a rad circle', r"the word 'rad' is in no caption of training \(did you mean 'red'\?\)"),
        ('xyz', "the word 'xyz' is in no caption of training"),
    ],
)
def test_other_captions_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        WORDS.parsed(text)


def test_an_empty_caption_of_the_data_is_named_by_its_number():
    with pytest.raises(UserError, match='caption 2 is empty'):
        of_captions(['red', ' '])
