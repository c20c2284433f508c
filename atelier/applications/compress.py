"""Codes images, items or text without loss, or measures error against bits."""

import numpy as np

from atelier.applications import _common, _lossless, _lossless_text, _rate_distortion
from atelier.applications._application import CONDITIONALS, TWO_PART, Application, lacking
from atelier.core.abilities import LogProb
from atelier.core.code_likelihood import TwoPartCode
from atelier.core.family import Family, reads_condition
from atelier.data.dataset import Spec
from atelier.data.items import are_items
from atelier.errors import UserError, check_option
from atelier.log import log
from atelier.run.experiment import Run

METHODS = ('auto', 'codes', 'likelihood')
OF_TEXT = 'num_characters'
ONE_BY_ONE = CONDITIONALS | TWO_PART  # codes examples without loss, unless --by=codes


def apply(
    run: Run,
    num_images: int = 1000,
    num_items: int = 10_000,
    num_characters: int = 0,
    seed: int = 0,
    quality_step: int = 2,
    by: str = 'auto',
) -> dict[str, np.ndarray]:
    """Compresses test examples: by likelihood without loss, or to part of their latent codes.

    Coding by likelihood needs discrete values. It also needs p(x) as a product of
    conditionals, one per value, or, for bits-back coding, p(x | z) and a posterior of z, or, of a
    run of codes, such conditionals of the tokens and p(x | tokens). Coding by codes measures the
    reconstruction error against the bytes of the code, and needs an encoder and a decoder. A family
    with an exact likelihood but without p(x) value by value, such as a flow, is refused.

    Args:
      run: of a family with `conditionals`, or with `encode` and `decode`.
      num_images: number of test images, or other examples, to code without loss, at most all.
      num_items: the same for texts that end, such as names.
      num_characters: number of characters to code of an endless text, from its beginning; 0: all.
      seed: seed that selects the images or items to code without loss.
      quality_step: step between the JPEG qualities 1, 1 + step, ... up to 95; for coding by codes
        only.
      by: way of coding: likelihood, codes, or auto, which is likelihood if the family has
        `conditionals`, also those of tokens, otherwise codes.

    Returns:
      The arrays of `_lossless.apply`, `_lossless_text.apply` or `_rate_distortion.apply`.

    Raises:
      UserError: a missing checkpoint, a bad option, or too few examples.
    """
    if _method(run, by) == 'likelihood':
        numbers = dict(num_images=num_images, num_items=num_items, num_characters=num_characters)
        number = _check_number(run, numbers)
        options = {number: numbers[number]} | ({} if number == OF_TEXT else {'seed': seed})
        name = f'compress{_common.changed_options(apply, **options)}'
        if number == OF_TEXT:
            return _lossless_text.apply(run, num_characters, name)
        return _lossless.apply(run, numbers[number], seed, name)
    name = 'compress-codes' if ONE_BY_ONE.is_met(run.family) else 'compress'
    changed = _common.changed_options(apply, quality_step=quality_step)
    return _rate_distortion.apply(run, quality_step, f'{name}{changed}')


def _check_number(run: Run, numbers: dict[str, int]) -> str:
    """Returns the option that says how much of the run's data is coded.

    Raises:
      UserError: it is too small, or another one has been set.
    """
    spec = run.data.spec
    of_symbols = 'num_items' if are_items(spec) else OF_TEXT
    right = 'num_images' if spec.symbols is None else of_symbols
    for name, value in numbers.items():
        if name != right and _common.changed_options(apply, **{name: value}):
            raise UserError(f'--{name}={value}: {run.folder} has other data: give --{right}')
    _common.at_least(0 if right == OF_TEXT else 1, **{right: numbers[right]})
    return right


def _method(run: Run, by: str) -> str:
    """Returns the method that `by` selects: 'likelihood' or 'codes'.

    Raises:
      UserError: the method is unknown, or the family does not support it.
    """
    check_option('by', by, METHODS)
    family, can_code = run.family, _lossless.can_code(run.family)
    if by == 'likelihood' or (by == 'auto' and ONE_BY_ONE.is_met(family)):
        if not can_code:
            reason = _lossless.why_not_of_codes(run) or _lossless.why_not(family, run.data.spec)
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
    if reads_condition(family):
        return 'cannot compress: a file would have to hold the condition of each example'
    if family.ability(TwoPartCode) is not None and spec.symbols is not None:
        return 'cannot compress: text is not coded in two parts, as images are'
    if ONE_BY_ONE.is_met(family):
        return ''
    if spec.symbols is not None:  # a distance between codes of symbols means nothing
        return f'cannot compress: {_lossless.why_not(family, spec)}'
    missing = ' and no '.join(lacking(family, _rate_distortion.NEEDS))
    log_prob = family.ability(LogProb)
    if not missing and (log_prob is None or log_prob.kind != 'exact'):
        return ''
    codes = f', and it has no {missing} either' if missing else ''
    return f'cannot compress: {_lossless.why_not(family, spec)}{codes}'


APPLICATION = Application(apply, refusal=refusal, reads='it codes test examples')
