"""User mistakes, which end in one line."""

import pytest

from atelier import errors


def test_a_full_disk_is_a_user_error(tmp_path):
    with pytest.raises(errors.UserError, match='metrics.*No space left'), errors.writing('metrics'):
        raise OSError(28, 'No space left on device')


def test_values_in_messages_are_shortened():
    """The repr of a huge value is shortened."""
    for value in ('x' * 10**6, [[1] * 1000] * 1000, 10**400, {'a' * 5000: {'b': ['c'] * 100}}):
        assert len(errors.shortened(value)) < 500
    assert errors.shortened('a\n') == r"'a\n'"
