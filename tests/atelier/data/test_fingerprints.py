"""The data format that a run records; the record may be a stranger's."""

import pytest

from atelier.data.dataset import Spec
from atelier.data.fingerprints import of_split, size_of, symbols_of
from atelier.errors import UserError


def test_symbols_are_recorded_and_read_again():
    """Any symbols, including quotation marks and commas."""
    for symbols in ('ab', ' \n\'",', 'aé\U0001f600'):
        spec = Spec((8,), len(symbols), None, symbols=symbols)
        assert symbols_of({'x': spec.format}) == symbols
    assert symbols_of({'x': Spec((8,), 2, None).format}) is symbols_of({}) is None


@pytest.mark.parametrize('text', ['', '3', "['a']", "'aa'", '(' * 3000, '1/0', "'a"])
def test_recorded_symbols_that_are_not_a_string_are_refused(text):
    """Only a literal is evaluated."""
    with pytest.raises(UserError, match='symbols of its text'):
        symbols_of({'x': f'levels 2, symbols {text}'})


def test_the_size_of_a_split():
    """Untrusted text gives no size."""
    assert size_of({'train': of_split(60_000, 7)}, 'train') == 60_000
    for text in ('', '6', 'examples', '-6 examples, ', f'{10**20} examples, ', '\u0663 examples, '):
        assert size_of({'train': text}, 'train') is None
    assert size_of({}, 'train') is None
