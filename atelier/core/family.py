"""A family of generative model: how its game begins and moves, and what can be done with it."""

import dataclasses
from collections.abc import Callable
from typing import TypeVar

from jaxtyping import Array

from atelier.core.abilities import Codes, Sample
from atelier.core.game import Turns
from atelier.core.randomness import Rng
from atelier.core.types import Batch, Weights

Ability = TypeVar('Ability', bound=tuple)


@dataclasses.dataclass(frozen=True)
class Family:
    """A family of generative model, as pure functions.

    init: (key, batch) -> the weights before the first step; a data-dependent start reads the batch.
    turns: the moves of one training step, in order.
    metrics: (weights, batch, rng) -> {name: [local]}, per example, units in the names.
    abilities: what can be done with the trained model, at most one of each type.

    Raises:
      ValueError: `abilities` is no tuple of NamedTuples, or has two of one type.
    """

    init: Callable[[Array, Batch], Weights]
    turns: Turns
    metrics: Callable[[Weights, Batch, Rng], dict[str, Array]]
    abilities: tuple[tuple, ...] = ()

    def __post_init__(self):
        """Refuses what is no ability, and two abilities of one type."""
        _check_abilities(self.abilities)
        types = [type(ability) for ability in self.abilities]
        twice = sorted({kind.__name__ for kind in types if types.count(kind) > 1})
        if twice:
            raise ValueError(f'a family has one ability of a type, not two {" and ".join(twice)}')

    def ability(self, kind: type[Ability]) -> Ability | None:
        """The family's ability of this type, or None."""
        return next((ability for ability in self.abilities if type(ability) is kind), None)


def _check_abilities(abilities: tuple[tuple, ...]) -> None:
    """Refuses what `Family.ability` would never find.

    Raises:
      ValueError: a lone ability, which is a tuple itself, or an element that is no NamedTuple.
    """
    if type(abilities) is not tuple:
        kind = type(abilities).__name__
        raise ValueError(f'abilities: {kind} is no plain tuple; one alone is (ability,)')
    for ability in abilities:
        if isinstance(ability, type):
            name = ability.__name__
            raise ValueError(f'abilities: {name} is a class; an ability is a value, {name}(...)')
        if not (isinstance(ability, tuple) and hasattr(ability, '_fields')):
            raise ValueError(f'abilities: {type(ability).__name__} is no NamedTuple')


def present(*abilities: tuple | None) -> tuple[tuple, ...]:
    """The abilities of a family, without those that its settings rule out (None)."""
    return tuple(ability for ability in abilities if ability is not None)


def codes_of(family: Family) -> Codes:
    """The codes of a family; of one without codes, nothing can be done with them."""
    return family.ability(Codes) or Codes()


def is_class_conditional(family: Family) -> bool:
    """Whether the family models p(x | label) and samples of a class that is asked for."""
    sample = family.ability(Sample)
    return sample is not None and sample.is_class_conditional
