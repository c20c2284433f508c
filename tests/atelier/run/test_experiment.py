"""Assembles a run from the contents of a config file."""

from support import recipe_and_config

from atelier.run import experiment


def test_a_build_that_returns_no_family_is_refused(tmp_path, complaint):
    which, config = recipe_and_config()
    line = complaint(experiment.assemble, tmp_path, which, config, build=lambda *_: [])
    assert line == f'{which}: build returns a list, not a Family'
