"""Codes test images without loss, or measures reconstruction error against code size."""

import numpy as np

from atelier.applications import _common, _lossless, _rate_distortion
from atelier.applications._application import CONDITIONALS, Application, lacking
from atelier.core.abilities import LogProb
from atelier.core.family import Family
from atelier.data.dataset import Spec
from atelier.errors import UserError, check_option
from atelier.log import log
from atelier.run.experiment import Run

METHODS = ('auto', 'codes', 'likelihood')


def apply(
    run: Run, num_images: int = 1000, seed: int = 0, quality_step: int = 2, by: str = 'auto'
) -> dict[str, np.ndarray]:
    """Compresses test images: by likelihood without loss, or to part of their latent codes.

    Coding by likelihood needs discrete values. It also needs p(x) as a product of
    conditionals, one per value, or, for bits-back coding, p(x | z) and a posterior of z. Coding by
    codes measures the reconstruction error against the bytes of the code, and
    needs an encoder and a decoder. A family with an exact likelihood but without p(x) value by
    value, such as a flow, is refused.

    Args:
      run: of a family with `conditionals`, or with `encode` and `decode`.
      num_images: number of test images to code without loss, at most all.
      seed: seed that selects the images to code without loss.
      quality_step: step between the JPEG qualities 1, 1 + step, ... up to 95; for coding by codes
        only.
      by: way of coding: likelihood, codes, or auto, which is likelihood if the family has
        `conditionals`, otherwise codes.

    Returns:
      The arrays of `_lossless.apply` or `_rate_distortion.apply`.

    Raises:
      UserError: a missing checkpoint, a bad option, or too few examples.
    """
    if _method(run, by) == 'likelihood':
        changed = _common.changed_options(apply, num_images=num_images, seed=seed)
        return _lossless.apply(run, num_images, seed, f'compress{changed}')
    name = 'compress-codes' if CONDITIONALS.is_met(run.family) else 'compress'
    changed = _common.changed_options(apply, quality_step=quality_step)
    return _rate_distortion.apply(run, quality_step, f'{name}{changed}')


def _method(run: Run, by: str) -> str:
    """Returns the method that `by` selects: 'likelihood' or 'codes'.

    Raises:
      UserError: the method is unknown, or the family does not support it.
    """
    check_option('by', by, METHODS)
    family, can_code = run.family, _lossless.can_code(run.family)
    if by == 'likelihood' or (by == 'auto' and CONDITIONALS.is_met(family)):
        if not can_code:
            reason = _lossless.why_not(family, run.data.spec)
            advice = '' if lacking(family, _rate_distortion.NEEDS) else '; choose --by=codes'
            raise UserError(f'{run.folder} cannot compress by likelihood: {reason}{advice}')
        return 'likelihood'
    missing = lacking(family, _rate_distortion.NEEDS)
    if missing:
        advice = '; choose --by=likelihood' if can_code else ''
        raise UserError(
            f'{run.folder} cannot compress by codes: it has no {" and no ".join(missing)}{advice}'
        )
    if can_code:
        log.info('compressing by codes; --by=likelihood codes the test examples without loss')
    return 'codes'


def refusal(family: Family, spec: Spec) -> str:
    """Returns why this mode refuses the family, or ''.

    A family with codes and an exact likelihood is refused too: users would expect lossless coding,
    which it cannot do.
    """
    if CONDITIONALS.is_met(family):
        return ''
    missing = ' and no '.join(lacking(family, _rate_distortion.NEEDS))
    log_prob = family.ability(LogProb)
    if not missing and (log_prob is None or log_prob.kind != 'exact'):
        return ''
    codes = f', and it has no {missing} either' if missing else ''
    return f'cannot compress: {_lossless.why_not(family, spec)}{codes}'


APPLICATION = Application(apply, refusal=refusal, reads='it codes test examples')
