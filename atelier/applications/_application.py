"""What an application is, and what it needs of a family."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from atelier.core.abilities import (
    BitsBack,
    Classify,
    Conditionals,
    Denoise,
    Extend,
    Inpaint,
    LogProb,
    Reconstruct,
    Sample,
    SuperResolve,
    Trajectory,
)
from atelier.core.family import Family, codes_of
from atelier.errors import UserError
from atelier.run.experiment import Run


class Need(NamedTuple):
    """Something that a family has to be able to do.

    description: as messages say it, such as 'sample or decode'.
    is_met: (family) -> whether it can.
    """

    description: str
    is_met: Callable[[Family], bool]

    def __or__(self, other: 'Need') -> 'Need':
        """One of the two is enough."""
        either = lambda family: self.is_met(family) or other.is_met(family)
        return Need(f'{self.description} or {other.description}', either)


def needs(ability: type[tuple], description: str) -> Need:
    """The need of an ability."""
    return Need(description, lambda family: family.ability(ability) is not None)


SAMPLE = needs(Sample, 'sample')
RECONSTRUCT = needs(Reconstruct, 'reconstruct')
INPAINT = needs(Inpaint, 'inpaint')
EXTEND = needs(Extend, 'extend')
DENOISE = needs(Denoise, 'denoise')
TRAJECTORY = needs(Trajectory, 'trajectory')
SUPER_RESOLVE = needs(SuperResolve, 'super_resolve')
LOG_PROB = needs(LogProb, 'log_prob')
CONDITIONALS = needs(Conditionals, 'conditionals')
BITS_BACK = needs(BitsBack, 'level_log_probs')
CLASSIFY = needs(Classify, 'classify')
ENCODE = Need('encode', lambda family: codes_of(family).encode is not None)
DECODE = Need('decode', lambda family: codes_of(family).decode is not None)
PRIOR = Need('prior', lambda family: codes_of(family).prior is not None)


class Application(NamedTuple):
    """Something that people do with a trained model: a file with a value `APPLICATION`.

    apply: (run, **options) -> its results. Each option has a default of type int, float, str
      or bool, and becomes a flag of the command line.
    needs: what the family has to be able to do.
    refuses: (family) -> whether `apply` refuses it although it meets the needs; None: none is.
    data: (folder, **options) -> the data that replace the run's, which are then not loaded, or None
      for the run's; without it always the run's.
    """

    apply: Callable[..., Any]
    needs: tuple[Need, ...] = ()
    refuses: Callable[[Family], bool] | None = None
    data: Callable[..., Any] | None = None

    def fits(self, family: Family) -> bool:
        """Whether it can be applied to a family."""
        is_refused = self.refuses is not None and self.refuses(family)
        return all(need.is_met(family) for need in self.needs) and not is_refused


def lacking(family: Family, needs: Sequence[Need]) -> list[str]:
    """Descriptions of the needs that a family does not meet."""
    return [need.description for need in needs if not need.is_met(family)]


def require(run: Run, mode: str, *needs: Need) -> None:
    """Refuses a family that does not meet the needs of a mode.

    Raises:
      UserError: names what it lacks.
    """
    missing = lacking(run.family, needs)
    if missing:
        raise UserError(
            f'the model of {run.folder} lacks {", and ".join(missing)}: --mode={mode} needs '
            f'{", and ".join(need.description for need in needs)}; choose a run of another family'
        )
