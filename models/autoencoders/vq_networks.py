"""Convolutional encoder to a map of vectors, and decoder from such a map, without dense layers."""

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from models.nets.conv import Conv
from models.nets.conv_encoder_decoder import ConvDecoder, ConvEncoder

Maps = Float[Array, 'batch *positions channels']


class ResidualBlocks(nn.Module):
    """Residual blocks: activation, 3x3 convolution, activation, 1x1 convolution.

    van den Oord et al. (2017), section 4.1.

    Attributes:
      channels: features between the two convolutions, one entry per block.
      activation, form, dtype: as in `models.nets.conv_encoder_decoder`.
    """

    channels: tuple[int, ...]
    activation: Callable
    form: str
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Maps) -> Maps:
        """Returns [batch, *positions, channels] in float32, with as many channels as x."""
        window, options = (3,) * (x.ndim - 2), dict(form=self.form, dtype=self.dtype)
        point = (1,) * len(window)
        for features in self.channels:
            inner = Conv(features, window, **options)(self.activation(x))
            x += Conv(x.shape[-1], point, **options)(self.activation(inner))
        return x


class MapEncoder(ConvEncoder):
    """Convolutions of stride 2, residual blocks, then one vector per remaining position.

    The attributes are those of `ConvEncoder` and `block_channels`, the `channels` of the residual
    blocks. hidden_sizes is unused, and output_shape is [*positions, dim].
    """

    block_channels: tuple[int, ...] = ()

    @nn.compact
    def __call__(self, x: Float[Array, 'batch *event']) -> Maps:
        """Returns [batch, *positions, dim] in float32."""
        options = dict(form=self.form, dtype=self.dtype)
        x = self._convolutions(x)
        x = ResidualBlocks(self.block_channels, self.activation, **options)(x)
        return Conv(self.output_shape[-1], (1,) * (x.ndim - 2), **options)(self.activation(x))


class MapDecoder(ConvDecoder):
    """The decoder that mirrors `MapEncoder`.

    The attributes are those of `ConvDecoder` and `block_channels`; hidden_sizes is unused.
    """

    block_channels: tuple[int, ...] = ()

    @property
    def last_layer(self) -> str:
        """The name of the layer whose outputs are those of the network."""
        return f'ConvTranspose_{len(self.channels) - 1}'

    @nn.compact
    def __call__(self, z: Maps) -> Float[Array, 'batch *output']:
        """Returns [batch, *output_shape] in float32."""
        options = dict(form=self.form, dtype=self.dtype)
        x = Conv(self.channels[-1], (3,) * (z.ndim - 2), **options)(z)
        x = ResidualBlocks(self.block_channels, self.activation, **options)(x)
        return self._transposed_convolutions(x)
