"""The argument after a config path's colon, and the fields of a debug run."""

import pytest

from configs.shared import common


@pytest.mark.parametrize(
    ('argument', 'expected'),
    [
        (None, ('digits', False)),
        ('mnist', ('mnist', False)),
        ('debug', ('digits', True)),
        (' mnist , debug', ('mnist', True)),
    ],
)
def test_the_argument_names_data_and_debug(argument, expected):
    config, is_debug = common.begin(argument)
    assert (config.data.name, is_debug) == expected


def test_a_misspelt_debug_is_named(complaint):
    assert "'debug'" in complaint(common.parse_argument, 'mnist,debgu', 'digits')


def test_a_debug_run_is_never_longer():
    config = common.common_config()
    config.hypers.update(decay_steps=7.0, warmup_steps=500.0)
    common.shrink(config)
    assert (config.hypers.decay_steps, config.hypers.warmup_steps) == (7.0, 5.0)
    del config.hypers['decay_steps'], config.hypers['warmup_steps']
    common.shrink(config)
    assert 'decay_steps' not in config.hypers
