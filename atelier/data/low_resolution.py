"""Downsamples images, and enlarges them again without a model; for models and applications.

Images are [batch, height, width] or [batch, height, width, channels].
"""

import math

import jax
import numpy as np
from jaxtyping import Array, Float

from atelier.data.dataset import Spec
from atelier.errors import UserError, at_least

Images = Float[Array | np.ndarray, 'batch height width *channels']
Resized = Float[Array | np.ndarray, 'batch other_height other_width *channels']


def check_factor(factor: int, spec: Spec, name: str) -> None:
    """Refuses data that are not images, and a factor that does not divide their sides.

    Raises:
      UserError: lists the factors that divide the sides; `name` names the data in the message.
    """
    at_least(2, 'model.factor', factor)
    if len(spec.event_shape) < 2:
        raise UserError(f'{name} are no images: there is no resolution to raise')
    height, width = spec.event_shape[:2]
    if height % factor or width % factor:
        divisor = math.gcd(height, width)
        factors = [str(n) for n in range(2, divisor + 1) if divisor % n == 0]
        raise UserError(
            f'config.model.factor={factor} does not divide the {height}x{width} pixels of {name}: '
            f'{", ".join(factors) or "nothing"} would'
        )


def reduced(x: Images, factor: int) -> Resized:
    """Averages every block of factor x factor pixels; stays in NumPy for NumPy arrays.

    Raises:
      ValueError: the factor does not divide height and width.
    """
    batch, height, width, *channels = x.shape
    if height % factor or width % factor:
        raise ValueError(f'{factor} does not divide {height}x{width} pixels')
    blocks = batch, height // factor, factor, width // factor, factor, *channels
    return x.reshape(blocks).mean((2, 4))


def enlarged(low: Images, factor: int, method: str = 'bicubic') -> Resized:
    """Enlarges height and width by `factor`, with a method of `jax.image.resize`.

    'bicubic' is the cubic convolution of Keys (1981), with his a = -1/2; 'nearest' repeats pixels.
    Values may leave the range of `low`, except with 'nearest' and 'bilinear'.
    """
    batch, height, width, *channels = low.shape
    return jax.image.resize(low, (batch, height * factor, width * factor, *channels), method)
