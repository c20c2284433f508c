"""When a game is said to go wrong, and which line of the config is named."""

import re

import pytest

import experiment
from models import gan, vae_gan
from models.gan_advice import Cures, adviser

advise = adviser(Cures('do this', 'do that'))
FAIR = {'accuracy_real': 0.7, 'accuracy_fake': 0.75, 'coverage': 0.6}


def test_a_fair_game_needs_no_advice():
    assert advise([FAIR]) == {}
    assert advise([{**FAIR, 'coverage': 0.3}, FAIR, {**FAIR, 'coverage': 0.31}]) == {}


@pytest.mark.parametrize(('real', 'fake', 'is_won'), [(0.99, 0.99, True), (0.99, 0.9, False)])
def test_a_discriminator_wins_on_both_kinds(real, fake, is_won):
    warnings = advise([{**FAIR, 'accuracy_real': real, 'accuracy_fake': fake}])
    assert ('discriminator has won' in warnings) == is_won
    if is_won:
        assert '99% of real and 99% of generated' in warnings['discriminator has won']
        assert warnings['discriminator has won'].endswith('in a new --workdir, do this')


def test_a_collapse_is_a_fall_of_coverage_from_its_best():
    rising = [{**FAIR, 'coverage': value} for value in (0.1, 0.4, 0.6)]
    (what,) = advise([*rising, {**FAIR, 'coverage': 0.2}]).items()
    assert what[0] == 'generator has collapsed'
    assert '20%' in what[1]
    assert '60% at best' in what[1]
    assert what[1].endswith('do that')
    assert advise([{**FAIR, 'coverage': 0.01}]) == {}  # the first is its own best


def test_packs_have_no_accuracies():
    assert advise([{'coverage': 0.5}, {'coverage': 0.4}]) == {}


@pytest.mark.parametrize('penalty', ['none', 'r1', 'gradient_penalty'])
def test_a_cure_is_one_that_the_config_takes(penalty):
    """Packs and penalties do not go together, and a penalty that is there is raised."""
    cures = gan._cures(gan.Rules(penalty=penalty))
    for cure in cures:
        assert ('model.penalty=r1' in cure) == (penalty == 'none')
        assert ('hypers.penalty' in cure) == (penalty != 'none')
    assert ('packing' in cures.of_a_collapse) == (penalty == 'none')


def test_the_lines_of_a_vae_gan_are_its_own():
    config = experiment.Recipe('configs/vae_gan.py', None).config()
    for cure in vae_gan.CURES:
        for name in re.findall(r'--config\.([\w.]+)', cure):
            group, field = name.split('.')
            assert field in config[group], name
