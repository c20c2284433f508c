"""When a game is said to go wrong, and which line of the config is named."""

import pytest

from models.gan_advice import advise

FAIR = {'accuracy_real': 0.7, 'accuracy_fake': 0.75, 'coverage': 0.6}


def test_a_fair_game_needs_no_advice():
    assert advise([FAIR]) == {}
    assert advise([{**FAIR, 'coverage': 0.3}, FAIR, {**FAIR, 'coverage': 0.31}]) == {}


@pytest.mark.parametrize(('real', 'fake', 'is_won'), [(0.99, 0.99, True), (0.99, 0.9, False)])
def test_a_discriminator_wins_on_both_kinds(real, fake, is_won):
    warnings = advise([{**FAIR, 'accuracy_real': real, 'accuracy_fake': fake}])
    assert ('discriminator has won' in warnings) == is_won
    if is_won:
        assert '--config.hypers.learning_rate' in warnings['discriminator has won']
        assert '99 %' not in warnings['discriminator has won']
        assert '99%' in warnings['discriminator has won']


def test_a_collapse_is_a_fall_of_coverage_from_its_best():
    rising = [{**FAIR, 'coverage': value} for value in (0.1, 0.4, 0.6)]
    (what,) = advise([*rising, {**FAIR, 'coverage': 0.2}]).items()
    assert what[0] == 'generator has collapsed'
    assert '20%' in what[1]
    assert '60% at best' in what[1]
    assert '--config.model.packing' in what[1]
    assert advise([{**FAIR, 'coverage': 0.01}]) == {}  # the first is its own best


def test_packs_have_no_accuracies():
    assert advise([{'coverage': 0.5}, {'coverage': 0.4}]) == {}
