"""Convolutional encoder and decoder for images of any size, and for signals."""

import math
from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from models.nets.conv import Conv, ConvTranspose
from models.nets.mlp import MLP

STRIDE = 2


def spatial_shape(event_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The lengths of the convolved axes: (height, width) of an image, (length,) of a signal."""
    return event_shape[:2]


def stage_shapes(spatial: tuple[int, ...], num_stages: int) -> list[tuple[int, ...]]:
    """The spatial shapes before the first and after each stage; a stage halves, rounding up."""
    shapes = [spatial]
    for _ in range(num_stages):
        shapes.append(tuple(-(-size // STRIDE) for size in shapes[-1]))
    return shapes


class _ConvNet(nn.Module):
    """Base of encoder and decoder.

    Attributes:
      event_shape: [height, width], [height, width, channels] or [length].
      hidden_sizes: units of the dense layers, in the order of their use.
      output_shape: shape of one output; a decoder's begins with the event's shape.
      channels: channels of each convolution of the encoder; the decoder has the reverse order.
      kernel_size: length of every convolution's kernel along each axis.
      activation: applied after every layer except the last.
      form: form of the convolutions, as in `models.nets.conv`.
      dtype: data type of convolutions and dense layers; parameters and outputs are float32.
      norm: constructs a normalization layer before each activation, except the activation after
        the encoder's first convolution (Radford et al. 2016); the layer before a norm has no bias.
      kernel_init: initializer of every layer's kernel.
      has_dense: whether there are dense layers. Without them, the encoder returns its maps reshaped
        to `output_shape`, where a -1 is inferred, and the decoder takes such maps.
    """

    event_shape: tuple[int, ...]
    hidden_sizes: tuple[int, ...]
    output_shape: tuple[int, ...]
    channels: tuple[int, ...]
    kernel_size: int = 4
    activation: Callable = nn.relu
    form: str = 'auto'
    dtype: DTypeLike = jnp.float32
    norm: Callable[[], nn.Module] | None = None
    kernel_init: Callable = nn.initializers.lecun_normal()
    has_dense: bool = True

    def _stage(
        self, layer: type[nn.Module], features: int, use_bias: bool, stride: int = STRIDE
    ) -> nn.Module:
        """Returns a convolution, or a transposed one."""
        axes = len(spatial_shape(self.event_shape))
        window, strides = (self.kernel_size,) * axes, (stride,) * axes
        options = dict(form=self.form, dtype=self.dtype, kernel_init=self.kernel_init)
        return layer(features, window, strides, use_bias=use_bias, **options)

    def _dense(self, output_shape: tuple[int, ...], last_bias: bool = True) -> Callable:
        if not self.has_dense:
            return lambda x: x.reshape(x.shape[0], *output_shape)
        options = dict(norm=self.norm, last_bias=last_bias, kernel_init=self.kernel_init)
        return MLP(self.hidden_sizes, output_shape, self.activation, self.dtype, **options)

    def _activated(self, x: Float[Array, 'batch *event']) -> Float[Array, 'batch *event']:
        return self.activation(self.norm()(x) if self.norm else x)


class ConvEncoder(_ConvNet):
    """Convolutions of stride 2, then dense layers, with the attributes of `_ConvNet`.

    The activated output of the last convolution is the intermediate `maps`.
    """

    @nn.compact
    def __call__(
        self, x: Float[Array, 'batch *event'], are_maps: bool = False
    ) -> Float[Array, 'batch *output']:
        """Returns [batch, *output_shape] in float32; x are events, or `maps` if `are_maps`."""
        if not are_maps:
            x = self._convolutions(x)
            self.sow('intermediates', 'maps', x)
        return self._dense(self.output_shape)(x)

    def _convolutions(self, x: Float[Array, 'batch *event']) -> Float[Array, 'batch *maps']:
        x = x.reshape(x.shape[0], *spatial_shape(self.event_shape), -1)
        for stage, features in enumerate(self.channels):
            x = self._stage(Conv, features, use_bias=stage == 0 or self.norm is None)(x)
            x = self.activation(x) if stage == 0 else self._activated(x)
        return x


class ConvDecoder(_ConvNet):
    """Dense layers, then transposed convolutions of stride 2; attributes as in `_ConvNet`."""

    @nn.compact
    def __call__(self, z: Float[Array, 'batch latent']) -> Float[Array, 'batch *output']:
        """Returns [batch, *output_shape] in float32."""
        smallest = stage_shapes(spatial_shape(self.event_shape), len(self.channels))[-1]
        x = self._dense((*smallest, self.channels[-1]), last_bias=self.norm is None)(z)
        return self._transposed_convolutions(x)

    def _transposed_convolutions(
        self, x: Float[Array, 'batch *maps']
    ) -> Float[Array, 'batch *output']:
        spatial = spatial_shape(self.event_shape)
        *larger, _ = stage_shapes(spatial, len(self.channels))
        last = math.prod(self.output_shape[len(spatial) :])
        stages = list(zip(larger[::-1], (*self.channels[-2::-1], last), strict=True))
        for stage, (shape, features) in enumerate(stages, 1):
            is_last = stage == len(stages)
            layer = self._stage(ConvTranspose, features, use_bias=is_last or self.norm is None)
            x = layer(self._activated(x))
            x = x[(slice(None), *map(slice, shape))]  # an odd size was rounded up
        return x.reshape(x.shape[0], *self.output_shape)
