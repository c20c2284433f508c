"""Built-in applications: their names and options."""

import pytest

from atelier import applications


@pytest.mark.parametrize('name', applications.names())
def test_every_file_is_an_application(name):
    application = applications.load(name)
    assert isinstance(application, applications.Application)
    for option in applications.options(application).values():
        assert option.default is not option.empty, option  # optional on the command line


def test_shared_modules_are_not_applications():
    assert 'sample' in applications.names()
    assert not [name for name in applications.names() if name.startswith('_')]
