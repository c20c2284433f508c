"""Assembles a run from the contents of a config file."""

from support import recipe_and_config

from atelier.run import experiment


def test_a_build_that_returns_no_family_is_refused(tmp_path, complaint):
    config_file, config = recipe_and_config()
    line = complaint(experiment.assemble, tmp_path, config_file, config, build=lambda *_: [])
    assert line == f'{config_file}: build returns a list, not a Family'
