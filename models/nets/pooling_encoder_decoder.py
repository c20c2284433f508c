"""Convolutional encoder and decoder that change resolution by pooling and repetition.

Only their stages differ from those of `models.nets.conv_encoder_decoder`, which are strided.
"""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float

from models.nets.conv import Conv
from models.nets.conv_encoder_decoder import (
    STRIDE,
    ConvDecoder,
    ConvEncoder,
    spatial_shape,
    stage_shapes,
)

Maps = Float[Array, 'batch *spatial channels']
Resized = Float[Array, 'batch *resized channels']


def max_pool(x: Maps) -> Resized:
    """Max-pools every 2 neighbours along each spatial axis; an odd axis keeps its last position.

    It reshapes instead of using `lax.reduce_window`, whose derivative is slow on CPU.
    """
    for axis in range(1, x.ndim - 1):
        pads = [(0, 0)] * x.ndim
        pads[axis] = (0, x.shape[axis] % STRIDE)
        x = jnp.pad(x, pads, constant_values=-jnp.inf)
        pairs = *x.shape[:axis], x.shape[axis] // STRIDE, STRIDE, *x.shape[axis + 1 :]
        x = jnp.max(x.reshape(pairs), axis + 1)
    return x


def repeat(x: Maps, shape: tuple[int, ...]) -> Resized:
    """Repeats every position twice along each spatial axis (nearest neighbour), cut to `shape`."""
    for axis in range(1, x.ndim - 1):
        x = jnp.repeat(x, STRIDE, axis)
    return x[(slice(None), *map(slice, shape))]  # an odd size was rounded up


class PoolingEncoder(ConvEncoder):
    """Convolutions, each activated and then max-pooled, with the attributes of `ConvEncoder`."""

    def _convolutions(self, x: Float[Array, 'batch *event']) -> Float[Array, 'batch *maps']:
        x = x.reshape(x.shape[0], *spatial_shape(self.event_shape), -1)
        for stage, features in enumerate(self.channels):
            x = self._stage(Conv, features, use_bias=stage == 0 or self.norm is None, stride=1)(x)
            x = max_pool(self.activation(x) if stage == 0 else self._activated(x))
        return x


class PoolingDecoder(ConvDecoder):
    """Convolutions, each activated and enlarged by `repeat`, then a last one; see `ConvDecoder`."""

    def _transposed_convolutions(
        self, x: Float[Array, 'batch *maps']
    ) -> Float[Array, 'batch *output']:
        spatial = spatial_shape(self.event_shape)
        *larger, _ = stage_shapes(spatial, len(self.channels))
        x = self._activated(x)
        for shape, features in zip(larger[::-1], self.channels[::-1], strict=True):
            x = self._stage(Conv, features, use_bias=self.norm is None, stride=1)(x)
            x = repeat(self._activated(x), shape)
        x = self._stage(Conv, math.prod(self.output_shape[len(spatial) :]), True, stride=1)(x)
        return x.reshape(x.shape[0], *self.output_shape)
