"""Test examples coded without loss by their likelihood; of codes, error against bytes."""

import numpy as np

from atelier.applications import _lossless, _rate_distortion
from atelier.applications._application import CONDITIONALS, DECODE, ENCODE, Application, lacking
from atelier.core.abilities import Conditionals, LogProb
from atelier.core.family import Family
from atelier.errors import UserError
from atelier.log import log
from atelier.run.experiment import Run

NEEDS = (ENCODE | CONDITIONALS, DECODE | CONDITIONALS)
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
      UserError: a missing ability or checkpoint, a bad option, or too few examples.
    """
    if by not in WAYS:
        raise UserError(f'--by={by}: it is one of {", ".join(WAYS)}')
    if by == 'likelihood' or (by == 'auto' and run.family.ability(Conditionals) is not None):
        if not _lossless.can_code(run.family):
            raise UserError(f'{run.folder} cannot compress by likelihood: {_why_not(run)}')
        return _lossless.apply(run, num_images, seed)
    missing = ' and no '.join(lacking(run.family, _rate_distortion.NEEDS))
    if refuses(run.family) or missing:
        codes = f', and it has no {missing} either' if missing else ''
        reason = f'it has no {missing}' if by == 'codes' and missing else _why_not(run) + codes
        raise UserError(f'{run.folder} cannot compress: {reason}')
    if _lossless.can_code(run.family):
        log.info('by its codes; --by=likelihood codes test examples themselves, without loss')
    return _rate_distortion.apply(run, quality_step)


def refuses(family: Family) -> bool:
    """A density: to code exactly is what its exact likelihood promises, and it cannot."""
    log_prob = family.ability(LogProb)
    is_exact = log_prob is not None and log_prob.kind == 'exact'
    return is_exact and family.ability(Conditionals) is None


def _why_not(run: Run) -> str:
    """What keeps a model from coding by its likelihood."""
    if run.family.ability(LogProb) is None:
        return 'the model has no likelihood to code by'
    if run.data.spec.levels is None:
        return 'a density of real values gives no probability of an example to code it by'
    if run.data.spec.symbols is not None:
        return 'windows of a text overlap, so that they are not coded one by one'
    if run.family.ability(LogProb).kind != 'exact':
        return (
            'the model says neither p(x) number by number nor, with a posterior of one layer, '
            'p(x | z), as a VAE does'
        )
    return (
        'the model does not say p(x) number by number, as a mixture of several orders cannot '
        '(of config.model.num_orders=1 it does)'
    )


APPLICATION = Application(apply, NEEDS, refuses)
