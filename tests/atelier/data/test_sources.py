"""Each name of a source has a module whose settings are fields of `config.data`."""

import pytest

from atelier.data.original.known import KNOWN
from atelier.data.sources import SOURCES, settings_of
from configs.shared.common import common_config

OF_TEXT = {
    *('context', 'valid_share', 'num_pieces', 'max_length', 'too_long', 'is_packed'),
    *('column', 'label_column', 'separator'),
}
OF_CAPTIONS = {'objects'}


@pytest.mark.parametrize('name', [*SOURCES, *KNOWN, 'omniglot'])
def test_a_source_takes_fields_of_the_config(name):
    assert {*settings_of(name)} <= {*common_config().data, *OF_TEXT, *OF_CAPTIONS}


def test_only_some_sources_read_a_path():
    assert 'path' in settings_of('mnist')
    assert 'path' not in settings_of('omniglot')
    assert 'path' not in settings_of('mnist_5k')


@pytest.mark.parametrize('name', ['mnist', 'emnist/letters', 'folder'])
def test_a_record_cannot_allow_a_download(name):
    """It is no setting of `config.data`, which may be someone else's."""
    assert 'may_prepare' not in settings_of(name)
