"""When a game is reported as failing, and which config lines the advice names."""

import re

import pytest

from atelier import checkout
from atelier.core import game
from atelier.data.dataset import Spec
from models.gans import vae_gan
from models.gans.collapse_advice import Advice, adviser

advise = adviser(Advice('do this', 'do that'))
FAIR = {'train/accuracy_real': 0.7, 'train/accuracy_fake': 0.75, 'coverage': 0.6}


def test_a_fair_game_needs_no_advice():
    assert advise([FAIR]) == {}
    assert advise([{**FAIR, 'coverage': 0.3}, FAIR, {**FAIR, 'coverage': 0.31}]) == {}


@pytest.mark.parametrize(('real', 'fake', 'is_won'), [(0.99, 0.99, True), (0.99, 0.9, False)])
def test_a_discriminator_wins_on_both_kinds(real, fake, is_won):
    warnings = advise([{**FAIR, 'train/accuracy_real': real, 'train/accuracy_fake': fake}])
    assert ('discriminator has won' in warnings) == is_won
    if is_won:
        assert '99% of real and 99% of generated' in warnings['discriminator has won']
        assert warnings['discriminator has won'].endswith('in a new --workdir, do this')


def test_a_collapse_is_a_fall_of_coverage_from_its_best():
    rising = [{**FAIR, 'coverage': value} for value in (0.1, 0.4, 0.6)]
    (advice,) = advise([*rising, {**FAIR, 'coverage': 0.2}]).items()
    assert advice[0] == 'generator has collapsed'
    assert '20%' in advice[1]
    assert '60% at best' in advice[1]
    assert advice[1].endswith('do that')


def test_coverage_that_stays_near_zero_is_a_collapse():
    uncovered = {**FAIR, 'coverage': 0.01}
    assert advise([uncovered] * 2) == {}  # too early to tell
    assert list(advise([uncovered] * 3)) == ['generator has collapsed']
    assert advise([uncovered, uncovered, FAIR]) == {}


def test_packs_have_no_accuracies():
    assert advise([{'coverage': 0.5}, {'coverage': 0.4}]) == {}


@pytest.mark.parametrize(
    'changes',
    [
        {},
        {'model.penalty': 'r1'},
        {'model.packing': 2},
        {'model.conditioning': 'projection'},
        {
            'model.discriminator_norm': 'batch',
            'model.discriminator_hidden_sizes': (8, 8, 8),
        },
    ],
    ids=str,
)
def test_advised_settings_fit_the_config(changes):
    """The config accepts each advised line, and the game builds with it."""
    config_file = checkout.ConfigFile('configs/gan.py', 'digits,debug')
    module, spec = config_file.module(), Spec((8, 8, 1), 17, 10)
    config = config_file.config()
    config.update_from_flattened_dict(changes)
    family = module.build(config, spec)
    won, collapsed = (
        {**FAIR, 'train/accuracy_real': 1.0, 'train/accuracy_fake': 1.0},
        {**FAIR, 'coverage': 0.1},
    )
    lines = {
        line
        for text in game.advice(family.turns, [won, collapsed]).values()
        for line in advised_fields(text)
    }
    lines |= {
        line for text in game.advice(family.turns, [won]).values() for line in advised_fields(text)
    }
    assert len(lines) >= 3
    for field, value in lines:
        cured = config_file.config()
        cured.update_from_flattened_dict(changes)
        before = cured[field.split('.')[0]][field.split('.')[1]]
        assert before != value, field
        cured.update_from_flattened_dict({field: type(before)(value) if value else before})
        module.build(cured, spec)


def advised_fields(text):
    """(field, value) of each config line in a text; value '' for advice to lower or raise."""
    return re.findall(r'--config\.([\w.]+)(?:=(\w+))?', text)


def test_the_lines_of_a_vae_gan_are_its_own():
    config = checkout.ConfigFile('configs/vae_gan.py', None).config()
    for cure in vae_gan.ADVICE:
        for name, _ in advised_fields(cure):
            group, field = name.split('.')
            assert field in config[group], name
