"""User mistakes, which end in one line."""

import pytest

from atelier import errors


def test_a_full_disk_is_the_users_to_mend(tmp_path):
    with pytest.raises(errors.UserError, match='metrics.*No space left'), errors.writing('metrics'):
        raise OSError(28, 'No space left on device')
