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


def test_a_message_with_a_huge_text_is_shortened():
    """Its start, which says what is wrong, and its end, which says what to do, are kept."""
    error = errors.UserError(f'the flag --x={"y" * 100_000}: give a number')
    assert len(str(error)) <= errors.MAX_LINE
    assert str(error).startswith('the flag --x=y') and str(error).endswith('y: give a number')
    with pytest.raises(errors.UserError) as caught, errors.about('prefix ' * 1000):
        raise error
    assert len(str(caught.value)) <= errors.MAX_LINE
