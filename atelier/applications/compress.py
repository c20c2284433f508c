"""Test examples coded without loss by their likelihood; of codes, error against bytes."""

import numpy as np

from atelier.applications import _lossless, _rate_distortion
from atelier.applications._application import CONDITIONALS, Application, lacking
from atelier.core.abilities import LogProb
from atelier.core.family import Family
from atelier.data.dataset import Spec
from atelier.errors import UserError
from atelier.log import log
from atelier.run.experiment import Run

WAYS = ('auto', 'codes', 'likelihood')


def apply(
    run: Run, num_images: int = 1000, seed: int = 0, quality_step: int = 2, by: str = 'auto'
) -> dict[str, np.ndarray]:
    """Lossless (`_lossless`) by the likelihood, or some of the code for some error.

    By the likelihood goes a model that says p(x) of levels number by number, and with bits back one
    that says p(x | z) and has a posterior of z. What is encoded and decoded, by bytes
    (`_rate_distortion`), is of any other, but not of an exact density, such as a flow.

    Args:
      run: of a family with `conditionals`, or with `encode` and `decode`.
      num_images: of the test split, that are coded without loss; all, where there are fewer.
      seed: of which.
      quality_step: of JPEG, beside codes, from 1 to 95: how far apart two settings are.
      by: 'likelihood', 'codes', or 'auto': codes where the family has them.

    Returns:
      As the one or the other does.

    Raises:
      UserError: a missing checkpoint, a bad option, or too few examples.
    """
    if _way(run, by) == 'likelihood':
        return _lossless.apply(run, num_images, seed)
    return _rate_distortion.apply(run, quality_step)


def _way(run: Run, by: str) -> str:
    """The one that `by` chooses: 'likelihood' or 'codes'.

    Raises:
      UserError: there is no such way, or it is not this family's.
    """
    if by not in WAYS:
        raise UserError(f'--by={by}: it is one of {", ".join(WAYS)}')
    family, can_code = run.family, _lossless.can_code(run.family)
    if by == 'likelihood' or (by == 'auto' and CONDITIONALS.is_met(family)):
        if not can_code:
            reason = _lossless.why_not(family, run.data.spec)
            raise UserError(f'{run.folder} cannot compress by likelihood: {reason}')
        return 'likelihood'
    missing = lacking(family, _rate_distortion.NEEDS)
    if missing:
        raise UserError(f'{run.folder} cannot compress: it has no {" and no ".join(missing)}')
    if can_code:
        log.info('by its codes; --by=likelihood codes test examples themselves, without loss')
    return 'codes'


def refusal(family: Family, spec: Spec) -> str:
    """Why a family can go neither way, or ''.

    A density with codes is refused too: to code exactly is what its exact likelihood promises, and
    it cannot.
    """
    if CONDITIONALS.is_met(family):
        return ''
    missing = ' and no '.join(lacking(family, _rate_distortion.NEEDS))
    log_prob = family.ability(LogProb)
    if not missing and (log_prob is None or log_prob.kind != 'exact'):
        return ''
    codes = f', and it has no {missing} either' if missing else ''
    return f'cannot compress: {_lossless.why_not(family, spec)}{codes}'


APPLICATION = Application(apply, refusal=refusal)
