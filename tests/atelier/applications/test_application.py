"""An application runs only on runs whose family has its required abilities."""

import pytest
from support import make_run, with_abilities

from atelier.applications import Application, load, names, needs, perform
from atelier.core.abilities import Sample


def of_two_levels(family, spec) -> str:
    return '' if spec.levels == 2 else f'cannot count {spec.levels} levels'


def double(run, n: int = 1) -> int:
    return 2 * n


DOUBLE = Application(double, (needs(Sample, 'sample'),), refusal=of_two_levels)


@pytest.fixture
def run(tmp_path):
    return with_abilities(make_run(tmp_path), Sample(lambda weights, batch, rng: batch))


def test_a_users_application_is_checked_from_python_too(run, complaint):
    line = complaint(perform, DOUBLE, with_abilities(run), n=3)
    assert '--mode=test_application.py does not fit the model of ' in line
    assert complaint(perform, DOUBLE, run, n=3) == f'{run.folder} cannot count 17 levels'
    of_bits = run._replace(data=run.data._replace(spec=run.data.spec._replace(levels=2)))
    assert perform(DOUBLE, of_bits, n=3) == 6


def test_fits_agrees_with_the_needs_and_the_refusal(run):
    spec = run.data.spec
    assert DOUBLE.fits(run.family, spec._replace(levels=2))
    assert not DOUBLE.fits(run.family, spec)
    assert not DOUBLE.fits(with_abilities(run).family, spec._replace(levels=2))


def test_each_application_has_its_mode():
    assert [load(name).mode for name in names()] == names()
