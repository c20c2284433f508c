"""The direction of an attribute of the condition, and how much of a change along it arrives."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from atelier.applications._contrast import Contrast
from atelier.applications._regression import Regression, correlation, r_squared, regression_of
from atelier.applications._sets import EncodedExamples, examples_of
from atelier.core.family import codes_of
from atelier.core.randomness import Stream, key_for
from atelier.data import preprocess
from atelier.errors import UserError
from atelier.evaluation.codes.encoding import encoded, latents
from atelier.log import counted, log
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

LEAST = 10  # examples for a regression on a number


class Fitted(NamedTuple):
    """A direction of codes from examples of training.

    regression: of the number, or of the 0 of the start and the 1 of the end.
    sizes: number of examples, or of those of each end, as text.
    description: of the examples that these are among.
    ends_in_condition: whether codes end in the condition; the attribute is not read from this part.
    """

    regression: Regression
    sizes: str
    description: str
    ends_in_condition: bool


def check_has_encoder(run: Run, contrast: Contrast) -> None:
    """Checks that examples, whose condition is known, have codes.

    Raises:
      UserError: they have none.
    """
    if codes_of(run.family).encode is None:
        raise UserError(
            f'--attribute={contrast.noun}: it is known of examples, and this model has no encoder '
            'that gives them codes'
        )


def along_condition(trained: TrainedRun, key, contrast: Contrast, num_codes: int) -> Fitted:
    """Fits the codes of training examples.

    Raises:
      UserError: there are too few examples, or the number is constant.
    """
    examples = examples_of(trained, 'train', key_for(key, Stream.EVALUATE), num_codes)
    codes, number = _known(contrast, examples)
    if contrast.is_number:
        _check_number(contrast, number, examples.description)
        sizes = f'{len(number):,}'
    else:
        counts = [int(np.sum(number == end)) for end in (0, 1)]
        _check_ends(contrast, counts, examples.description)
        sizes = f'{counts[0]:,} and {counts[1]:,}'
    num_read = latents(trained.run.family, codes).shape[1]
    regression = regression_of(codes, number, num_read)
    return Fitted(regression, sizes, examples.description, num_read < codes.shape[1])


def _known(
    contrast: Contrast, examples: EncodedExamples
) -> tuple[Float[np.ndarray, 'n latent'], Float[np.ndarray, 'n']]:
    """Returns the codes of examples that have the number or are at one end, and their numbers."""
    number = contrast.of(examples.condition)
    index = np.flatnonzero(np.isfinite(number))
    return examples.codes[index].astype(np.float64), number[index]


def _check_number(contrast: Contrast, number: Float[np.ndarray, 'n'], description: str) -> None:
    option = f'--attribute={contrast.noun}'
    if len(number) < LEAST:
        raise UserError(
            f'{option}: a direction along a number needs at least {LEAST} examples, and these are '
            f'{description}: choose more --num_codes'
        )
    if np.all(number == number[0]):
        raise UserError(
            f'{option}: it is {number[0]:.4g} in each of {description}: choose more --num_codes'
        )


def _check_ends(contrast: Contrast, counts: list[int], description: str) -> None:
    for name, count in zip(contrast.sets, counts, strict=True):
        if not count:
            only = ' without the other word' if contrast.column is None else ''
            raise UserError(
                f'no example of {name}{only} among {description}: choose another or more '
                '--num_codes'
            )


def results_of(
    trained: TrainedRun, key, contrast: Contrast, fitted: Fitted, num_codes: int
) -> dict[str, Any]:
    """Returns the ends, and how well the codes of test examples tell them apart.

    R^2 and correlation are None if the condition of these is unknown or constant.
    """
    ends = (
        {} if contrast.is_number else dict(zip(('source', 'target'), contrast.names, strict=True))
    )
    results = {'attribute': contrast.noun, **ends, 'num_examples': 0}
    results |= {'r_squared': None, 'correlation': None}
    examples = examples_of(trained, 'test', key, num_codes)
    if examples.condition is None:  # of examples of the user's own
        return results
    codes, number = _known(contrast, examples)
    predicted = fitted.regression.predicted(codes)
    return results | {
        'num_examples': len(number),
        'r_squared': r_squared(predicted, number),
        'correlation': correlation(predicted, number),
    }


def read_again(
    trained: TrainedRun, fitted: Fitted, x: Float[np.ndarray, 'n s *event']
) -> Float[np.ndarray, 'n s'] | None:
    """Returns the attribute as it is read from the codes of decoded x.

    None of symbols, and of a conditional model, whose codes need not hold the attribute.
    """
    run = trained.run
    if fitted.ends_in_condition or run.data.spec.symbols is not None:
        return None
    run = run._replace(data=run.data._replace(preprocess=preprocess.as_float))
    rows = {'x': x.reshape(-1, *run.data.spec.event_shape)}
    codes, _ = encoded(run, trained.state, rows, trained.devices)
    return fitted.regression.read(codes).reshape(x.shape[:2])


def log_results(results: dict[str, Any], contrast: Contrast, ends_in_condition: bool) -> None:
    """Logs how well codes tell the attribute, and how much of the change arrives."""
    what = contrast.noun if contrast.is_number else ' or '.join(contrast.sets)
    text_of = lambda name: 'unknown' if results[name] is None else f'{results[name]:.2f}'
    if number := results['num_examples']:
        log.info(
            '%s, predicted from codes of %s: R^2 %s, correlation %s',
            *(what, counted(number, 'example')),
            *(text_of('r_squared'), text_of('correlation')),
        )
    if ends_in_condition:
        log.info(
            'codes end in the condition, which the direction changes too; the rest of them, from '
            'which is predicted, need not hold what the condition says'
        )
    if results['arrived_share'] is not None:
        log.info(
            'share of the change that arrives, read from the codes of the changed examples: %s',
            text_of('arrived_share'),
        )
