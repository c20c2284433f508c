"""The random numbers of an augmentation, and how strongly each transformation is applied."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, UInt32

from atelier.errors import UserError, at_least

PARAMETERS = (
    *('shift_y', 'shift_x', 'rotate', 'scale', 'crop', 'crop_y', 'crop_x', 'flip'),
    *('brightness', 'contrast', 'saturation', 'hue', 'cutout_y', 'cutout_x'),
)
CHANCES = (
    *('shift', 'rotate', 'scale', 'crop'),
    *('brightness', 'contrast', 'saturation', 'hue', 'cutout'),
)
MOST = {  # largest value of each field
    'shift': 10_000,
    **dict.fromkeys(('rotate', 'hue'), 180),
    **dict.fromkeys(('scale', 'contrast', 'saturation'), 10),
    'crop': 0.9,
    **dict.fromkeys(('brightness', 'cutout'), 1),
}
Scalars = Float[Array, 'batch']
Images = Float[Array, 'batch height width channels']


class Strengths(NamedTuple):
    """The largest change by each transformation; 0 or False: it is not applied.

    shift: below 1 a fraction of the sides, with interpolation; from 1 on whole pixels, without.
    rotate: degrees, in both directions.
    scale: 0.1 makes the content up to 1.1 times as large or as small, uniform in the logarithm.
    crop: largest fraction of the sides that is cut off; the rest, at a random position, is enlarged
      to the whole picture.
    brightness: added, as a fraction of the range of x.
    contrast, saturation: 0.5 multiplies the difference from the picture's mean, or that of a pixel
      from its grey, by 1 / 1.5 to 1.5, uniform in the logarithm.
    hue: degrees of a rotation about the axis of greys.
    cutout: side of an erased square, as a fraction of the sides (DeVries and Taylor 2017).
    flip: left and right change places in half of the pictures.
    """

    shift: float = 0.0
    rotate: float = 0.0
    scale: float = 0.0
    crop: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    cutout: float = 0.0
    flip: bool = False

    @property
    def moves_pixels(self) -> bool:
        """Whether a transformation moves pixels."""
        return bool(self.shift or self.rotate or self.scale or self.crop or self.flip)

    @property
    def interpolates(self) -> bool:
        """Whether moved pixels lie between those of the picture."""
        return bool(0 < self.shift < 1 or self.rotate or self.scale or self.crop)

    def check(self, group: str) -> None:
        """Checks the values, which are those of the fields `group` of a config.

        Raises:
          UserError: one is invalid; names the field.
        """
        for name, most in MOST.items():
            at_least(0, f'{group}.{name}', getattr(self, name), most=most)
        if self.shift > 1 and self.shift != int(self.shift):
            raise UserError(
                f'config.{group}.shift={self.shift}: from 1 on, it is a whole number of pixels; '
                'below 1, a fraction of the sides'
            )


class Draws:
    """Uniform numbers in [0, 1) of each example, and the probability of each transformation.

    A number depends on the example's key and on its own name alone, not on what else is applied.
    """

    def __init__(self, keys: UInt32[Array, 'batch 2'], probability: float | Float[Array, ''] = 1.0):
        """`probability` may be traced."""
        names = (*PARAMETERS, *(f'applied_{name}' for name in CHANCES))
        uniform = jax.vmap(lambda key: jax.random.uniform(key, (len(names),)))(keys)
        self._uniform = dict(zip(names, uniform.T, strict=True))
        self._probability = probability

    def uniform(self, name: str) -> Scalars:
        """Returns the number of this name, uniform on [0, 1)."""
        return self._uniform[name]

    def signed(self, name: str) -> Scalars:
        """Returns the number of this name, uniform on [-1, 1)."""
        return 2 * self._uniform[name] - 1

    def applies(self, name: str) -> Bool[Array, 'batch']:
        """Whether a transformation is applied to each example."""
        return self._uniform[f'applied_{name}'] < self._probability

    def is_flipped(self) -> Bool[Array, 'batch']:
        """Whether each example is flipped."""
        return self._uniform['flip'] < 0.5 * self._probability

    def if_applied(self, name: str, value: Scalars, otherwise: float = 0.0) -> Scalars:
        """Returns `value` where the transformation is applied, else `otherwise`, its identity."""
        return jnp.where(self.applies(name), value, otherwise)

    def factor(self, name: str, strength: float) -> Scalars:
        """Returns a factor in 1 / (1 + strength) to 1 + strength; 1 where it is not applied."""
        exponent = self.signed(name) * jnp.log1p(jnp.float32(strength))
        return self.if_applied(name, jnp.exp(exponent), otherwise=1.0)
