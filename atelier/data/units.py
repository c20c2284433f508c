"""Conversion of examples from the units of one data set to those of another one."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from atelier.data.dataset import Spec
from atelier.errors import UserError
from atelier.log import log

FAR, MUCH = 10, 50  # standard deviations of training; how many times less values vary
Moments = float | tuple[float, ...] | np.ndarray
Convert = Callable[[Array], Array]


def converter(source: Spec, target: Spec) -> Convert:
    """Returns f(x [n, *event]) -> x in the units of `target`, for x in the units of `source`.

    Real values stay as they are: the network that reads them normalizes them by its own Spec.
    Levels stay as they are too, or become every k-th of more levels, such as 0 and 255 of 0 and 1.
    Dequantized values become the levels below them.

    Raises:
      UserError: the shapes differ, or the units do and no exact conversion is known.
    """
    if source.event_shape != target.event_shape:
        raise UserError(f'examples of shape {source.event_shape} are not of {target.event_shape}')
    if source.symbols != target.symbols:
        raise UserError('symbols of one vocabulary are not those of another, or are not numbers')
    if (source.levels, source.dequantized_levels) == (target.levels, target.dequantized_levels):
        return lambda x: x
    levels = source.levels or source.dequantized_levels
    if levels is None or target.levels is None or (target.levels - 1) % (levels - 1):
        raise UserError(
            f'{_units(source)} cannot be converted to {_units(target)}: set config.data.binarize '
            'and config.data.dequantize of both runs alike, and give both data of the same levels'
        )
    step = (target.levels - 1) // (levels - 1)
    if source.dequantized_levels is not None:
        return lambda x: step * jnp.clip(jnp.floor(x), 0, levels - 1)
    return lambda x: step * x


def warn_of_units(mean: Moments, std: Moments, target: Spec) -> None:
    """Warns if real values with these moments are probably in other units than those of `target`.

    Args:
      mean: of the values, or of each column.
      std: their standard deviation, or that of each column.
      target: its moments are compared.
    """
    shift, scale = np.mean(target.mean), np.mean(target.std)
    distance = np.mean((np.asarray(mean) - target.mean) / target.std)
    ratio = np.mean(np.asarray(std) / target.std)
    if abs(distance) > FAR or 0 < ratio < 1 / MUCH:
        log.warning(
            'values with mean %.4g and standard deviation %.4g are compared with training values '
            'with mean %.4g and standard deviation %.4g: are they in the same units?',
            *(np.mean(mean), np.mean(std), shift, scale),
        )


def _units(spec: Spec) -> str:
    if spec.levels is not None:
        return f'{spec.levels} levels'
    if spec.dequantized_levels is not None:
        return f'{spec.dequantized_levels} dequantized levels'
    return 'real values'
