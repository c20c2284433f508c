"""An augmentation of pictures: applied to the stored values of a minibatch of training.

It comes before binarisation and dequantisation, and stays in the levels of the data: the results
are rounded to the nearest level. Real values stay interpolated.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Num, UInt32

from atelier.data.augmentation_colours import cut_out, recoloured
from atelier.data.augmentation_draws import Draws, Images, Strengths
from atelier.data.augmentation_geometry import Fill, moved


class Augmentation(NamedTuple):
    """What is done to the pictures of each minibatch of training.

    strengths: the largest change by each transformation.
    probability: with which each transformation is applied to a picture.
    fill: what lies outside a picture, by channel; None: the picture, mirrored.
    levels: number of levels of the stored values; None: they are real.
    unit: the range of x, in which brightness is measured; of real values, the standard deviation.
    blank: what is erased becomes this, by channel.
    """

    strengths: Strengths
    probability: float
    fill: Fill
    levels: int | None
    unit: float
    blank: tuple[float, ...]

    def __call__(
        self, x: Num[Array, 'batch *event'], keys: UInt32[Array, 'batch 2']
    ) -> Float[Array, 'batch *event']:
        """Returns stored pictures transformed, each by its own key; levels stay levels."""
        images = x.astype(jnp.float32).reshape(*x.shape[:3], -1)
        images = transformed(
            images, Draws(keys, self.probability), self.strengths, self.fill, self.unit, self.blank
        )
        if self.levels is not None:
            images = jnp.clip(jnp.round(images), 0, self.levels - 1)
        return images.reshape(x.shape)


def transformed(
    x: Images,
    draws: Draws,
    strengths: Strengths,
    fill: Fill,
    unit: float,
    blank: float | tuple[float, ...],
) -> Images:
    """Returns pictures whose pixels are moved, then recoloured, then partly erased.

    Differentiable in x. Where nothing is applied, a picture is returned bit for bit.
    """
    x = moved(x, draws, strengths, fill)
    x = recoloured(x, draws, strengths, unit)
    return cut_out(x, draws, strengths, blank)
