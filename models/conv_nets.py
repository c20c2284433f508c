"""Convolutional encoder and decoder of images of any size, and of signals."""

import math
from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from models.conv import Conv, ConvTranspose
from models.mlp import MLP

STRIDE = 2


def spatial_shape(event_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes that are convolved: of [height, width(, channels)] both, of [length] the one."""
    return event_shape[:2]


def stage_shapes(spatial: tuple[int, ...], num_stages: int) -> list[tuple[int, ...]]:
    """The spatial shape before the first stage and after each; every stage halves, rounding up."""
    shapes = [spatial]
    for _ in range(num_stages):
        shapes.append(tuple(-(-size // STRIDE) for size in shapes[-1]))
    return shapes


class _ConvNet(nn.Module):
    """What encoder and decoder share.

    Attributes:
      event_shape: [height, width], [height, width, channels] or [length].
      hidden_sizes: units of the dense layers, in the order of their use.
      output_shape: shape of one output; a decoder's begins with the event's.
      channels: of each convolution of the encoder; the decoder goes backwards.
      kernel_size: of every convolution, along each axis.
      activation: after every layer but the last.
      form: of the convolutions, as in `models.conv`.
      dtype: of the products; parameters and outputs are float32.
    """

    event_shape: tuple[int, ...]
    hidden_sizes: tuple[int, ...]
    output_shape: tuple[int, ...]
    channels: tuple[int, ...]
    kernel_size: int = 4
    activation: Callable = nn.relu
    form: str = 'auto'
    dtype: DTypeLike = jnp.float32

    def _stage(self, layer: type[nn.Module], features: int) -> nn.Module:
        """A convolution of stride 2, or its transpose."""
        axes = len(spatial_shape(self.event_shape))
        window, strides = (self.kernel_size,) * axes, (STRIDE,) * axes
        return layer(features, window, strides, form=self.form, dtype=self.dtype)


class ConvEncoder(_ConvNet):
    """Convolutions of stride 2, then dense layers; attributes: those of `_ConvNet`."""

    @nn.compact
    def __call__(self, x: Float[Array, 'batch *event']) -> Float[Array, 'batch *output']:
        """Returns [batch, *output_shape] in float32."""
        x = x.reshape(x.shape[0], *spatial_shape(self.event_shape), -1)
        for features in self.channels:
            x = self.activation(self._stage(Conv, features)(x))
        return MLP(self.hidden_sizes, self.output_shape, self.activation, self.dtype)(x)


class ConvDecoder(_ConvNet):
    """Dense layers, then transposed convolutions of stride 2; attributes: those of `_ConvNet`."""

    @nn.compact
    def __call__(self, z: Float[Array, 'batch latent']) -> Float[Array, 'batch *output']:
        """Returns [batch, *output_shape] in float32."""
        spatial = spatial_shape(self.event_shape)
        *larger, smallest = stage_shapes(spatial, len(self.channels))
        last = math.prod(self.output_shape[len(spatial) :])
        x = MLP(self.hidden_sizes, (*smallest, self.channels[-1]), self.activation, self.dtype)(z)
        for shape, features in zip(larger[::-1], (*self.channels[-2::-1], last), strict=True):
            x = self._stage(ConvTranspose, features)(self.activation(x))
            x = x[(slice(None), *map(slice, shape))]  # an odd size was rounded up
        return x.reshape(x.shape[0], *self.output_shape)
