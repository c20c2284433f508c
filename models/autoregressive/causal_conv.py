"""Convolutions of images that are causal in raster order, and their caches.

If a pixel has several channels, the features are divided into one group per channel. At the pixel
itself, group g depends on the groups before g ("mask A", in a first layer) or on the groups up to
and including g ("mask B"): van den Oord, Kalchbrenner and Kavukcuoglu (2016), section 3.4.

A network of such layers computes all pixels at once, or a single one, given as a `Pixel`. In the
second case a layer gets its input at that pixel only; its inputs at earlier pixels are kept in the
collection 'cache'.
"""

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from atelier.errors import MAX_UNROLLED, UserError, at_least
from models.nets.conv import Conv

Maps = Float[Array, 'batch rows columns features']
NewMaps = Float[Array, 'batch new_rows new_columns new_features']


class Pixel(NamedTuple):
    """The pixel to compute: its row and column, both traced, and the width of the image."""

    row: Array
    column: Array
    width: int


class Reach(NamedTuple):
    """Rows that a window covers above its own pixel, and columns to the left and right of it."""

    above: int
    left: int
    right: int

    @property
    def window(self) -> tuple[int, int]:
        """Rows and columns of the window."""
        return self.above + 1, self.left + 1 + self.right


def margin_of(field: str, kernel_size: int) -> int:
    """Returns how many pixels a window of this size extends from its centre.

    Raises:
      UserError: the window has no centre or only one pixel, or is larger than any image; the
        message names the config field.
    """
    at_least(1, field, kernel_size, most=MAX_UNROLLED)
    if kernel_size < 3 or kernel_size % 2 == 0:
        raise UserError(f'config.{field}={kernel_size}: give an odd number, 3 or more')
    return kernel_size // 2


class CausalConvOptions(NamedTuple):
    """Settings that all layers of a network share.

    channels: channels of a pixel, which is also the number of feature groups.
    form: form of the convolutions, as in `models.nets.conv`.
    dtype: data type of the products.
    """

    channels: int
    form: str = 'auto'
    dtype: DTypeLike = jnp.float32


class Windows(nn.Module):
    """The input of `CausalConv`: zero-padded maps or, given a pixel, only that pixel's window.

    Given a pixel, `x` holds that pixel, or several pixels of its row, starting with it.
    """

    reach: Reach

    @nn.compact
    def __call__(self, x: Maps, pixel: Pixel | None = None) -> NewMaps:
        """Returns [batch, above + rows, left + columns + right, features].

        The cache is a ring buffer with as many rows as a window. To the right of the newest pixels,
        the newest row still has values of the old row that it replaces. No layer may read them.
        """
        above, left, right = self.reach
        if pixel is None:
            return jnp.pad(x, ((0, 0), (above, 0), (left, right), (0, 0)))
        batch, _, num_pixels, features = x.shape
        rows, columns = above + 1, left + num_pixels + right
        shape = (batch, rows, left + pixel.width + right, features)
        cache = self.variable('cache', 'rows', jnp.zeros, shape, x.dtype)
        start = (0, pixel.row % rows, pixel.column + left, 0)
        cache.value = lax.dynamic_update_slice(cache.value, x, start)
        window = [
            lax.dynamic_slice(
                cache.value,
                (0, (pixel.row + 1 + i) % rows, pixel.column, 0),
                (batch, 1, columns, features),
            )
            for i in range(rows)
        ]
        return jnp.concatenate(window, 1)


class CausalConv(nn.Module):
    """A convolution over the output of `Windows`, masked after each window's own pixel.

    Attributes:
      features: channels of the output, in `parts` equal parts that each contain all groups.
      options: settings shared by the layers.
      reach: reach of a window; the default is that of a 1 x 1 convolution.
      is_first: whether the input is the image itself, which needs mask A.
      parts: number of equal parts of the output.
    """

    features: int
    options: CausalConvOptions
    reach: Reach = Reach(0, 0, 0)
    is_first: bool = False
    parts: int = 1

    @nn.compact
    def __call__(self, x: Maps, pixel: Pixel | None = None) -> NewMaps:
        """Returns the maps of all pixels, or those of the given pixel."""
        mask = causal_mask(
            self.reach,
            groups_of(x.shape[-1], self.options.channels),
            np.tile(groups_of(self.features // self.parts, self.options.channels), self.parts),
            self.is_first,
        )
        return Conv(
            self.features,
            self.reach.window,
            padding='VALID',
            mask=None if mask.all() else mask,
            dtype=self.options.dtype,
            form=self.options.form if pixel is None else 'matmul',  # one window: a matrix product
            name='conv',
        )(x)


def groups_of(features: int, channels: int) -> np.ndarray:
    """Returns each feature's group, 0 to channels - 1 in order; groups have nearly equal sizes."""
    return np.arange(features) * channels // features


def causal_mask(
    reach: Reach, inputs: np.ndarray, outputs: np.ndarray, is_first: bool
) -> np.ndarray:
    """Returns a window's mask, bool [*window, inputs, outputs], from the groups of the features."""
    mask = np.ones((*reach.window, len(inputs), len(outputs)), bool)
    mask[-1, reach.left + 1 :] = False
    own = inputs[:, None] < outputs[None] + (0 if is_first else 1)
    mask[-1, reach.left] = own
    return mask
