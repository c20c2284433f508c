"""`Application`: a function of a trained run, and the abilities that it needs."""

import inspect
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from atelier import leftovers
from atelier.applications import _common
from atelier.core.abilities import (
    BitsBack,
    BoundTerms,
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
from atelier.core.code_likelihood import TwoPartCode
from atelier.core.family import Family, codes_of, is_class_conditional
from atelier.data.dataset import Spec
from atelier.errors import UserError
from atelier.evaluation.examples import given
from atelier.evaluation.examples.known_classes import of_known_classes
from atelier.log import log
from atelier.run import run_data
from atelier.run.experiment import Run


class Need(NamedTuple):
    """A requirement on a family.

    description: its name in messages, such as 'sampler or decoder'.
    is_met: (family) -> whether the family meets it.
    """

    description: str
    is_met: Callable[[Family], bool]

    def __or__(self, other: 'Need') -> 'Need':
        """Returns the requirement to meet at least one of the two."""
        either = lambda family: self.is_met(family) or other.is_met(family)
        return Need(f'{self.description} or {other.description}', either)


def needs(ability: type[tuple], description: str) -> Need:
    """Returns the requirement of an ability."""
    return Need(description, lambda family: family.ability(ability) is not None)


SAMPLE = needs(Sample, 'sampler')
RECONSTRUCT = needs(Reconstruct, 'reconstruction')
INPAINT = needs(Inpaint, 'inpainting')
EXTEND = needs(Extend, 'text continuation')
DENOISE = needs(Denoise, 'denoiser')
TRAJECTORY = needs(Trajectory, 'sampling trajectory')
SUPER_RESOLVE = needs(SuperResolve, 'super-resolution')
LOG_PROB = needs(LogProb, 'likelihood')
CONDITIONALS = needs(Conditionals, 'conditional distributions')
BITS_BACK = needs(BitsBack, 'bits-back coding')
TWO_PART = needs(TwoPartCode, 'code in two parts')
BOUND_TERMS = needs(BoundTerms, 'variational bound')
CLASSIFY = needs(Classify, 'class probabilities')
ENCODE = Need('encoder', lambda family: codes_of(family).encode is not None)
DECODE = Need('decoder', lambda family: codes_of(family).decode is not None)
PRIOR = Need('prior', lambda family: codes_of(family).prior is not None)


EXAMPLES = {  # option of each application that reads examples: its default and description
    'split': ('test', 'the split to use: train, valid or test.'),
    'data': (
        '',
        "path of examples to use instead of the run's: an .npz with x and perhaps label, a "
        'picture, a folder of pictures, or a text for a language model.',
    ),
}


class Application(NamedTuple):
    """An application of a trained model; each file of this package defines an `APPLICATION`.

    apply: (run, **options) -> results. `perform` checks first that the run fits. Each option has a
      default of type int, float, str or bool, or is a `str | None`, and becomes a command-line
      flag.
    needs: requirements on the family.
    refusal: (family, spec of its data) -> why a family that meets the needs is still refused, such
      as 'cannot compress: ...', or '' if it is accepted. None: no family is refused.
    reads: why examples of the run's data are read, as in 'it reconstructs test examples', or
      (run, **options) -> this reason. '': none are read, so the application works without the data.
    takes_examples: whether --split and --data give other examples in place of the test split.
    only_test: whether it reads no other split, so that the run's data are not needed with --data.
    needs_labels: whether a class-conditional family gets the class of each example.
    """

    apply: Callable[..., Any]
    needs: tuple[Need, ...] = ()
    refusal: Callable[[Family, Spec], str] | None = None
    reads: str | Callable[..., str] = 'an application may read examples'
    takes_examples: bool = True
    only_test: bool = False
    needs_labels: bool = True

    @property
    def mode(self) -> str:
        """The value of `--mode`, such as `sample` or, for a user's own file, `mine.py`."""
        name = self.apply.__module__
        if name.startswith(f'{__package__}.'):
            return name.rpartition('.')[2]
        return pathlib.Path(getattr(self.apply, '__globals__', {}).get('__file__', name)).name

    def fits(self, family: Family, spec: Spec) -> bool:
        """Whether the application accepts this family and the Spec of its data."""
        return not lacking(family, self.needs) and not self.why_refused(family, spec)

    def why_read(self, run: Run, **options: Any) -> str:
        """Returns why the data of a run are read with these options; '' if they are not."""
        return self.reads if isinstance(self.reads, str) else self.reads(run, **options)

    def why_refused(self, family: Family, spec: Spec) -> str:
        """Returns the reason of `refusal`, or '' if the family is accepted."""
        return self.refusal(family, spec) if self.refusal else ''


def lacking(family: Family, needs: Sequence[Need]) -> list[str]:
    """Returns descriptions of the needs that the family does not meet."""
    return [need.description for need in needs if not need.is_met(family)]


def require(application: Application, run: Run) -> None:
    """Checks that an application accepts a run.

    Raises:
      UserError: the run is not accepted; says what its family lacks or why it is refused.
    """
    missing = lacking(run.family, application.needs)
    if missing:
        from atelier.applications._loading import fitting  # which imports this module

        modes = ', '.join(fitting(run.family, run.data.spec)) or 'train and evaluate'
        raise UserError(
            f'--mode={application.mode} does not fit the model of {run.folder}, which has no '
            f'{" and no ".join(missing)}; modes that fit it: {modes}'
        )
    reason = application.why_refused(run.family, run.data.spec)
    if reason:
        raise UserError(f'{run.folder} {reason}')


def perform(application: Application, run: Run, /, **options) -> Any:
    """Applies an application to a run; returns its results.

    The data of a run that was reopened without them are read if the application needs them. The
    options that `EXAMPLES` describes put other examples in place of the test split.

    Raises:
      UserError: the run does not fit, its data are needed and gone, or the application itself
        raises it.
    """
    require(application, run)
    own = inspect.signature(application.apply).parameters
    split, path = (
        options.pop(name, default) if name not in own else default
        for name, default in (('split', 'test'), ('data', ''))
    )
    why = application.why_read(run, **options)
    if why and not (path and application.only_test):
        run = run_data.with_data(run, why)
    if path or split != 'test':
        run = _with_examples(application, run, why, split, path)
    if why and application.takes_examples and application.needs_labels:
        run = of_known_classes(run)
    leftovers.remove_files(run.folder)
    return application.apply(run, **options)


def _with_examples(application: Application, run: Run, why: str, split: str, path: str) -> Run:
    """Returns the run with other examples in place of its test split.

    Raises:
      UserError: the application reads no examples of this run, the examples are not like those of
        the run, or they have no labels and the family needs them.
    """
    flag = f'--data={path}' if path else f'--split={split}'
    if not why or not application.takes_examples:
        raise UserError(f'{flag}: --mode={application.mode} reads no examples of {run.folder}')
    run = given.examples_in_place(run, split, path, _common.path_suffix(data=path))
    if (
        application.needs_labels
        and is_class_conditional(run.family)
        and 'label' not in run.data.splits['test']
    ):
        raise UserError(
            f'{flag}: the model of {run.folder} needs the class of each example: give label too '
            '(or folders with the names of the classes)'
        )
    log.info('the examples are %s, in place of the test split', run.data.description)
    return run
