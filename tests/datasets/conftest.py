"""What the tests of the sources share: a cache of their own, and a mistake as one line."""

import pytest

from errors import UserError


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder of cached data, empty and this test's own."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'atelier' / 'data'


@pytest.fixture
def complaint():
    """Calls what has to end in a `UserError` and returns its one line."""

    def call(function, *arguments, **keywords) -> str:
        with pytest.raises(UserError) as caught:
            function(*arguments, **keywords)
        message = str(caught.value)
        assert message
        assert '\n' not in message, message
        return message

    return call
