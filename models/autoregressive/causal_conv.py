"""Convolutions of images that see nothing of what comes later in raster order, and their caches.

A place is a pixel. Where a pixel has several channels, its features are divided into as many
groups, and group g sees of the pixel itself groups below g ("mask A", of a first layer), or up to g
("mask B"): van den Oord, Kalchbrenner and Kavukcuoglu (2016), section 3.4.

A network of such layers computes all places at once, or one (`Place`) whose input is that place
alone: then each layer keeps what it was given at the places before, in the collection 'cache'.
"""

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from atelier.errors import UserError
from models.nets.conv import Conv

Maps = Float[Array, 'batch rows columns features']
Made = Float[Array, 'batch new_rows new_columns new_features']


class Place(NamedTuple):
    """The only place that a network computes: row and column, traced, and the image's width."""

    row: Array
    column: Array
    width: int


class Reach(NamedTuple):
    """How many places a window sees above its own, and in each row to the left and to the right."""

    above: int
    left: int
    right: int

    @property
    def window(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.above + 1, self.left + 1 + self.right


def margin_of(field: str, kernel_size: int) -> int:
    """How far a window of this size reaches from its middle.

    Raises:
      UserError: a window that has no middle, or is one pixel; names the config field.
    """
    if kernel_size < 3 or kernel_size % 2 == 0:
        raise UserError(f'config.{field}={kernel_size}: give an odd number from 3 on')
    return kernel_size // 2


class CausalConvOptions(NamedTuple):
    """What all layers of a network share.

    channels: of a pixel: groups of the features.
    form: of the convolutions, as in `models.nets.conv`.
    dtype: of the products.
    """

    channels: int
    form: str = 'auto'
    dtype: DTypeLike = jnp.float32


class Windows(nn.Module):
    """What windows see of maps: all with zeros around them, or what those of one place do.

    Or of several from that one on, if the maps have as many: at most the rest of its row.
    """

    reach: Reach

    @nn.compact
    def __call__(self, x: Maps, place: Place | None = None) -> Made:
        """Returns [batch, above + rows, left + columns + right, features].

        As many rows are kept of the maps as a window has, each where the one is that it replaces.
        What lies to the right in the newest row is that one's still: no layer may look at it.
        """
        above, left, right = self.reach
        if place is None:
            return jnp.pad(x, ((0, 0), (above, 0), (left, right), (0, 0)))
        batch, _, several, features = x.shape
        rows, columns = above + 1, left + several + right
        shape = (batch, rows, left + place.width + right, features)
        kept = self.variable('cache', 'rows', jnp.zeros, shape, x.dtype)
        at = (0, place.row % rows, place.column + left, 0)
        kept.value = lax.dynamic_update_slice(kept.value, x, at)
        seen = [
            lax.dynamic_slice(
                kept.value,
                (0, (place.row + 1 + number) % rows, place.column, 0),
                (batch, 1, columns, features),
            )
            for number in range(rows)
        ]
        return jnp.concatenate(seen, 1)


class CausalConv(nn.Module):
    """The convolution of what `Windows` gives, whose windows end at their own place.

    Attributes:
      features: channels of the output, in `parts` equal parts of all groups.
      kind: what layers share.
      reach: of a window; none: a product of each place's own features.
      is_first: mask A, of a layer that sees the image itself.
      parts: see features.
    """

    features: int
    kind: CausalConvOptions
    reach: Reach = Reach(0, 0, 0)
    is_first: bool = False
    parts: int = 1

    @nn.compact
    def __call__(self, seen: Maps, place: Place | None = None) -> Made:
        """Returns the maps, or those of one place."""
        mask = causal_mask(
            self.reach,
            groups_of(seen.shape[-1], self.kind.channels),
            np.tile(groups_of(self.features // self.parts, self.kind.channels), self.parts),
            self.is_first,
        )
        return Conv(
            self.features,
            self.reach.window,
            padding='VALID',
            mask=None if mask.all() else mask,
            dtype=self.kind.dtype,
            form=self.kind.form if place is None else 'matmul',  # of one window it is the product
            name='conv',
        )(seen)


def groups_of(features: int, channels: int) -> np.ndarray:
    """Each feature's group, 0..channels - 1, in order and as even as may be; int [features]."""
    return np.arange(features) * channels // features


def causal_mask(
    reach: Reach, inputs: np.ndarray, outputs: np.ndarray, is_first: bool
) -> np.ndarray:
    """What a window sees, bool [*window, inputs, outputs]; of inputs and outputs, their groups."""
    mask = np.ones((*reach.window, len(inputs), len(outputs)), bool)
    mask[-1, reach.left + 1 :] = False
    own = inputs[:, None] < outputs[None] + (0 if is_first else 1)
    mask[-1, reach.left] = own
    return mask
