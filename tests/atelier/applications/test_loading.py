"""Applications by their names: which there are, and what they take."""

import pytest

from atelier import applications


@pytest.mark.parametrize('name', applications.names())
def test_every_file_is_an_application(name):
    application = applications.load(name)
    assert isinstance(application, applications.Application)
    for option in applications.options(application).values():
        assert option.default is not option.empty, option  # the command line need not give it


def test_what_applications_share_is_none():
    assert 'sample' in applications.names()
    assert not [name for name in applications.names() if name.startswith('_')]


def test_a_misspelt_name_is_told(complaint):
    assert "'sample'" in complaint(applications.load, 'sampel')
    assert 'no such application' in complaint(applications.load, '_common')
