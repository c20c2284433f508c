"""Test examples coded without loss by their likelihood; of codes, error against bytes."""

import numpy as np

from applications import _common, _lossless, _rate_distortion
from errors import UserError
from experiment import Run
from game import Family

NEEDS = ('encode or conditionals', 'decode or conditionals')


def apply(
    run: Run, num_images: int = 1000, seed: int = 0, quality_step: int = 2
) -> dict[str, np.ndarray]:
    """Lossless (`applications._lossless`) where the model says p(x) of levels number by number.

    Otherwise (`applications._rate_distortion`) what it encodes and decodes, by bytes; not of an
    exact density, such as a flow.

    Args:
      run: of a family with `conditionals`, or with `encode` and `decode`.
      num_images: of the test split, that are coded without loss; all, where there are fewer.
      seed: of which.
      quality_step: of JPEG, beside codes, from 1 to 95: how far apart two settings are.

    Returns:
      As the one or the other does.

    Raises:
      UserError: a missing ability or checkpoint, a bad option, or too few examples.
    """
    if run.family.conditionals is not None:
        return _lossless.apply(run, num_images, seed)
    if refuses(run.family) or _common.lacking(run.family, _rate_distortion.NEEDS):
        raise UserError(f'{run.folder} cannot compress: {_why(run)}')
    return _rate_distortion.apply(run, quality_step)


def refuses(family: Family) -> bool:
    """A density: to code exactly is what its exact likelihood promises, and it cannot."""
    is_exact = family.log_prob is not None and family.log_prob.kind == 'exact'
    return is_exact and family.conditionals is None


def _why(run: Run) -> str:
    """What keeps a model from either."""
    missing = ' and no '.join(_common.lacking(run.family, _rate_distortion.NEEDS))
    codes = f', and it has no {missing} either' if missing else ''
    if run.family.log_prob is None:
        return f'the model has no likelihood to code by{codes}'
    if run.data.spec.levels is None:
        return f'a density of real values gives no probability of an example to code it by{codes}'
    if run.data.spec.symbols is not None:
        return f'windows of a text overlap, so that they are not coded one by one{codes}'
    return (
        'the model does not say p(x) number by number, as a mixture of several orders cannot '
        f'(of config.model.num_orders=1 it does){codes}'
    )
