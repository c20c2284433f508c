"""A family carries abilities as typed values, at most one of each type."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import jaxtyping
import pytest

from atelier.core.abilities import Codes, LogProb, Sample
from atelier.core.family import Family, codes_of, is_class_conditional, present
from atelier.core.game import State, Turn


def family_with(*abilities) -> Family:
    return Family(len, (), len, abilities)


def test_ability_returns_the_ability_of_a_type():
    log_prob = LogProb(len, 'exact')
    family = family_with(Sample(len), log_prob)
    assert family.ability(LogProb) is log_prob
    assert family.ability(Codes) is None


def test_two_abilities_of_one_type_are_refused():
    with pytest.raises(ValueError, match='several of type LogProb'):
        family_with(LogProb(len, 'exact'), Sample(len), LogProb(len, 'estimate'))


@pytest.mark.parametrize(
    ('abilities', 'message'),
    [
        (Sample(len), r'Sample is not a plain tuple; write a single one as \(ability,\)'),
        ([Sample(len)], 'list is not a plain tuple'),
        ((Sample,), r'Sample is a class; an ability is a value, Sample\(\.\.\.\)'),
        ((Sample(len), lambda weights, batch, rng: batch), 'function is not a NamedTuple'),
        (((Sample(len),),), 'tuple is not a NamedTuple'),
    ],
)
def test_values_that_are_not_abilities_are_refused(abilities, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, 'jaxtyping_disable', True)  # as in a user's run
    with pytest.raises(ValueError, match=message):
        Family(len, (), len, abilities)


def test_any_named_tuple_is_an_ability():
    class Count(NamedTuple):
        of: int

    assert family_with(Count(3)).ability(Count).of == 3


def test_an_ability_is_not_mistaken_for_another_with_equal_fields():
    class Other(NamedTuple):
        draw: object
        is_class_conditional: bool = False
        labels: object = None
        mean: object = None
        reads_condition: bool = False
        conditions: object = None

    assert Other(len) == Sample(len)
    assert family_with(Other(len)).ability(Sample) is None


def test_a_family_without_codes_has_no_code_functions():
    assert codes_of(family_with()) == Codes()
    assert codes_of(family_with(Codes(encode=len))).encode is len


def test_class_conditional_families_are_recognized():
    assert is_class_conditional(family_with(Sample(len, True)))
    assert not is_class_conditional(family_with(Sample(len)))
    assert not is_class_conditional(family_with())


def test_a_family_and_its_weights_are_shown_without_functions_and_arrays():
    """Also under a trace, and for shapes alone."""
    turns = (Turn(('critic',), len), Turn(('encoder', 'decoder'), len))
    family = Family(len, turns, len, (Sample(len), LogProb(len, 'exact')))
    expected = 'Family(turns: critic, encoder+decoder; abilities: Sample, LogProb)'
    assert repr(family) == expected
    assert repr(Family(len, turns[:1], len)) == 'Family(turns: critic; abilities: none)'
    params = {'critic': {'bias': jnp.zeros(1)}, 'decoder': jnp.zeros((30, 40))}
    state = State(jnp.int32(3), jnp.zeros(2, jnp.uint32), params, {}, {}, params, {})
    sizes = 'critic: 1 parameter, decoder: 1,200 parameters'
    assert repr(state) == f'State(step=3, {sizes})'
    assert repr(state.weights) == f'Weights({sizes})'
    shown = []
    shapes = jax.eval_shape(lambda state: shown.append(repr(state)) or state, state)
    assert sizes in shown[0] and sizes in repr(shapes)


def test_missing_abilities_are_left_out():
    assert present(None, Sample(len), None) == (Sample(len),)
