"""Family: a generative model's initialization, turns, metrics and abilities."""

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
    """A family of generative models, as pure functions.

    init: (key, batch) -> initial weights; data-dependent initialization reads the batch.
    turns: the updates of one training step, in order; see `atelier.core.game`.
    metrics: (weights, batch, rng) -> {name: [local]}, one value per example of the batch on this
      device. Names include the unit.
    abilities: what the trained model can do, at most one of each type.

    Raises:
      ValueError: `abilities` is not a tuple of NamedTuples, or has two of one type.
    """

    init: Callable[[Array, Batch], Weights]
    turns: Turns
    metrics: Callable[[Weights, Batch, Rng], dict[str, Array]]
    abilities: tuple[tuple, ...] = ()

    def __post_init__(self):
        """Refuses elements that are not abilities, and two abilities of one type."""
        _check_abilities(self.abilities)
        types = [type(ability) for ability in self.abilities]
        duplicates = sorted({kind.__name__ for kind in types if types.count(kind) > 1})
        if duplicates:
            raise ValueError(
                'a family has at most one ability of each type, but this one has several of '
                f'type {" and ".join(duplicates)}'
            )

    def __repr__(self) -> str:
        """Short, for notebooks: the players of each turn and the types of the abilities."""
        turns = ', '.join('+'.join(turn.players) for turn in self.turns)
        return f'Family(turns: {turns}; abilities: {self.ability_names})'

    @property
    def ability_names(self) -> str:
        """The types of the abilities, with commas; 'none' without abilities."""
        return ', '.join(type(ability).__name__ for ability in self.abilities) or 'none'

    def ability(self, kind: type[Ability]) -> Ability | None:
        """Returns the family's ability of this type, or None."""
        return next((ability for ability in self.abilities if type(ability) is kind), None)


def _check_abilities(abilities: tuple[tuple, ...]) -> None:
    """Refuses abilities that `Family.ability` would never find.

    Raises:
      ValueError: a lone ability, which is a tuple itself, or an element that is not a NamedTuple.
    """
    if type(abilities) is not tuple:
        kind = type(abilities).__name__
        raise ValueError(
            f'abilities: {kind} is not a plain tuple; write a single one as (ability,)'
        )
    for ability in abilities:
        if isinstance(ability, type):
            name = ability.__name__
            raise ValueError(f'abilities: {name} is a class; an ability is a value, {name}(...)')
        if not (isinstance(ability, tuple) and hasattr(ability, '_fields')):
            raise ValueError(f'abilities: {type(ability).__name__} is not a NamedTuple')


def present(*abilities: tuple | None) -> tuple[tuple, ...]:
    """Returns the abilities of a family without those that its settings rule out (None)."""
    return tuple(ability for ability in abilities if ability is not None)


def codes_of(family: Family) -> Codes:
    """Returns the family's `Codes`; all their functions are None if it has no codes."""
    return family.ability(Codes) or Codes()


def is_class_conditional(family: Family) -> bool:
    """Whether the family models p(x | label) and can sample a given class."""
    sample = family.ability(Sample)
    return sample is not None and sample.is_class_conditional


def reads_condition(family: Family) -> bool:
    """Whether the family models p(x | condition) for a condition of the data that is no class."""
    sample = family.ability(Sample)
    return sample is not None and sample.reads_condition
