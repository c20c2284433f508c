"""Every config follows the rules for configs."""

import json
import re

import pytest
from config_variants import parent_of

from atelier import checkout
from atelier.run import config_values

CONFIGS = checkout.configs()
TOP = {'seed', 'data', 'model', 'hypers', 'train', 'eval'}

every_config = pytest.mark.parametrize('path', CONFIGS)


@pytest.mark.parametrize('path', [path for path in CONFIGS if parent_of(path)])
def test_a_variant_has_the_fields_of_its_parent(path):
    """The parent's fields are read, and both configs share one `build`."""
    fields, expected = (
        set(config_values.flatten(checkout.ConfigFile(p, None).config().to_dict()))
        for p in (path, parent_of(path))
    )
    assert fields == expected


@every_config
@pytest.mark.parametrize('argument', [None, 'debug'])
def test_top_level_names_and_lock(path, argument):
    config = checkout.ConfigFile(path, argument).config()
    assert set(config) == TOP
    assert config.is_locked


@every_config
def test_debug_has_the_same_fields_and_few_steps(path):
    whole, debug = (checkout.ConfigFile(path, argument).config() for argument in (None, 'debug'))
    assert set(config_values.flatten(whole.to_dict())) == set(
        config_values.flatten(debug.to_dict())
    )
    assert debug.train.steps <= 50
    named = checkout.ConfigFile(path, f'{whole.data.name},debug').config()
    assert named.to_dict() == debug.to_dict()


@every_config
def test_plain_values_only(path):
    config = checkout.ConfigFile(path, None).config()
    for name, value in config_values.flatten(config.to_dict()).items():
        assert json.loads(json.dumps(value)) == value, name
        items = value if isinstance(value, list) else [value]
        assert {type(item) for item in items} <= {int, float, str, bool}, name


@every_config
def test_the_docstring_gives_its_own_command(path):
    text = checkout.ConfigFile(path, None).module().__doc__
    assert re.search(rf'python main\.py --config={re.escape(path)}(?![\w.])', text)


@every_config
def test_every_file_can_be_run(path):
    """Code shared by several configs belongs in configs/shared/."""
    module = checkout.ConfigFile(path, None).module()
    assert callable(module.get_config) and callable(module.build)


@pytest.mark.parametrize('argument', [None, 'debug'])
@pytest.mark.parametrize('path', checkout.configs())
def test_batches_can_be_shared_by_eight_devices(path, argument):
    config = checkout.ConfigFile(path, argument).config()
    assert config.train.batch_size % 8 == 0


@pytest.mark.parametrize('path', checkout.configs())
def test_the_docstring_gives_an_expected_result(path):
    """The docstring also gives the number's spread, the hardware and the time."""
    docstring = checkout.ConfigFile(path, None).module().__doc__
    assert re.search(r'\d \+- \d', docstring)
    assert re.search(r'seconds|minutes|hours', docstring)
    assert re.search(r'CPU|GPU|TPU', docstring)
