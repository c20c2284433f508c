"""Items as tokens: texts of a known vocabulary, and which text a message names."""

import numpy as np
import pytest

from atelier.data import item_tokens, items
from atelier.errors import UserError

SYMBOLS = items.END + 'aé\U0001f600'
NAMES = ['line 3', 'line 5', 'line 9']


def test_texts_become_events_of_a_vocabulary():
    x = item_tokens.encoded_as(['a\U0001f600', 'é', 'aaa'], SYMBOLS, 4, NAMES)
    np.testing.assert_array_equal(x, [[1, 3, 0, 0], [2, 0, 0, 0], [1, 1, 1, 0]])
    assert x.dtype == np.uint8
    assert items.unpacked(x, SYMBOLS) == ['a\U0001f600', 'é', 'aaa']


@pytest.mark.parametrize(
    ('texts', 'message'),
    [
        (['a', 'aaaa', 'aaaaa'], 'line 5 has 4 symbols, and items have at most 3 .2 items of more'),
        (['a', 'aa', 'bé'], r"line 9 has 'b', which is no symbol of the run: it has aé"),
        (['b', 'aa', 'bé'], "line 3 has 'b'"),
    ],
)
def test_a_text_that_the_run_cannot_have_is_named(texts, message):
    with pytest.raises(UserError, match=message):
        item_tokens.encoded_as(texts, SYMBOLS, 4, NAMES)
