"""The U-Net of diffusion models (Ho et al. 2020, appendix B), for images of any size.

It compiles fast, because the blocks of one resolution are one block under `nn.scan`, unrolled by
two. XLA then compiles at most three blocks per resolution, on the way down and again on the way up:
two in the loop's body, and a third if the number of blocks is odd.
"""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from atelier.errors import UserError, at_least, check_sizes
from models.diffusion.noise_embedding import condition_vector
from models.nets import attention
from models.nets.conditioning import Given
from models.nets.conv import Conv
from models.nets.conv_encoder_decoder import STRIDE, spatial_shape
from models.nets.cross_attention import CrossAttention
from models.nets.norms import GroupNorm
from models.nets.patches import from_patches, to_patches
from models.nets.text_encoder import EncodedWords

# Blocks in the body of the scan. Two compile as fast as one, and a resolution of two blocks then
# needs no loop, which would copy arrays.
UNROLLED = 2
SHARED = (nn.broadcast, nn.broadcast)  # the vector and the words, the same for each block
Maps = Float[Array, 'batch *maps']
NewMaps = Float[Array, 'batch *new_maps']  # maps of another size or number of channels
Vectors = Float[Array, 'batch dims']


class UNetOptions(NamedTuple):
    """Settings that all blocks of a U-Net share.

    kernel_size: length of every convolution's kernel along each axis.
    groups: most groups allowed in a group norm; the largest such number that divides the channels
      is used.
    heads: most attention heads allowed; the largest such number that divides the channels is used.
    form: form of the convolutions, as in `models.nets.conv`.
    dtype: data type of convolutions and matrix products; parameters and sums are float32.
    """

    kernel_size: int = 3
    groups: int = 8
    heads: int = 4
    form: str = 'auto'
    dtype: DTypeLike = jnp.float32


class ResidualBlock(nn.Module):
    """x plus two convolutions of it, with a condition-dependent scale and shift in between.

    The scale and shift follow Dhariwal and Nichol (2021), section 3.1. The last convolution is
    initialized to zero, so that a new block is the identity.

    Attributes:
      features: channels of the output.
      has_attention: whether self-attention over positions follows.
      options: settings shared by all blocks.
    """

    features: int
    has_attention: bool
    options: UNetOptions

    @nn.compact
    def __call__(self, x: Maps, vector: Vectors, words: EncodedWords | None = None) -> NewMaps:
        """Returns [batch, *space, features]; attention also reads the words, if there are any."""
        h = _conv(self.options, self.features)(nn.silu(_norm(self.options, x)))
        scale_and_shift = nn.Dense(2 * self.features, dtype=self.options.dtype)(nn.silu(vector))
        scale_and_shift = scale_and_shift.astype(jnp.float32)
        scale, shift = jnp.split(
            jnp.expand_dims(scale_and_shift, tuple(range(1, x.ndim - 1))), 2, -1
        )
        h = nn.silu(_norm(self.options, h) * (1 + scale) + shift)
        h = _conv(self.options, self.features, kernel_init=nn.initializers.zeros)(h)
        if x.shape[-1] != self.features:
            x = nn.Dense(self.features, name='through')(x)  # the residual sum stays float32
        x = x + h
        return Attention(self.options)(x, words) if self.has_attention else x


class Attention(nn.Module):
    """x plus self-attention over positions (Vaswani et al. 2017), which is zero initially.

    With words, cross-attention to these follows.
    """

    options: UNetOptions

    @nn.compact
    def __call__(self, x: Maps, words: EncodedWords | None = None) -> Maps:
        """Returns [batch, *space, channels]."""
        features = x.shape[-1]
        positions = _norm(self.options, x).reshape(len(x), -1, features)
        heads = max(n for n in range(1, self.options.heads + 1) if features % n == 0)
        mixed = nn.MultiHeadDotProductAttention(
            heads,
            dtype=self.options.dtype,
            out_kernel_init=nn.initializers.zeros,
            attention_fn=attention.for_flax,
        )(positions)
        x = x + mixed.reshape(x.shape)
        if words is None:
            return x
        read = CrossAttention(heads, self.options.dtype)(x.reshape(positions.shape), words)
        return x + read.reshape(x.shape)


class _Down(nn.Module):
    """A block on the way down, for `nn.scan`: the output is carried on and kept for the way up."""

    features: int
    has_attention: bool
    options: UNetOptions

    @nn.compact
    def __call__(
        self, x: Maps, vector: Vectors, words: EncodedWords | None
    ) -> tuple[NewMaps, NewMaps]:
        x = ResidualBlock(self.features, self.has_attention, self.options)(x, vector, words)
        return x, x


class _Up(nn.Module):
    """A block on the way up, which also reads the output of its counterpart on the way down."""

    features: int
    has_attention: bool
    options: UNetOptions

    @nn.compact
    def __call__(
        self,
        x: Maps,
        skip: Float[Array, 'batch *skip'],
        vector: Vectors,
        words: EncodedWords | None,
    ) -> tuple[NewMaps, None]:
        block = ResidualBlock(self.features, self.has_attention, self.options)
        return block(jnp.concatenate([x, skip], -1), vector, words), None


class UNet(nn.Module):
    """A U-Net for [batch, *event], whose output has the same shape.

    Attributes:
      channels: channels of each resolution, the finest first. Each resolution halves the side
        length of the one before.
      blocks: blocks per resolution, on the way down and again on the way up.
      attention: the resolutions (0 is the finest) whose blocks have attention. The middle block
        belongs to the coarsest resolution.
      num_classes: number of classes of the label, or of features; 0 without a condition. Class
        `num_classes`, or a last feature, is the null label, which stands for any condition.
      options: settings shared by all blocks.
      patch: pixels along each axis that make one position of the U-Net (Luhman and Luhman 2022).
    """

    channels: tuple[int, ...]
    blocks: int = 2
    attention: tuple[int, ...] = ()
    num_classes: int = 0
    options: UNetOptions = UNetOptions()
    patch: int = 1

    def __post_init__(self):
        """Refuses invalid sizes and resolutions that do not exist."""
        super().__post_init__()
        at_least(1, 'model.channels', *(self.channels or (0,)))
        check_sizes(self, 'blocks', 'patch')
        if not {*self.attention} <= {*range(len(self.channels))}:
            raise UserError(
                f'config.model.attention={self.attention}: give resolutions from 0 to '
                f'{len(self.channels) - 1} (config.model.channels)'
            )

    @nn.compact
    def __call__(
        self,
        x: Float[Array, 'batch *event'],
        half_log_snr: Float[Array, 'batch'],
        label: Given | None = None,
        words: EncodedWords | None = None,
    ) -> Float[Array, 'batch *event']:
        """Returns [batch, *event] in float32.

        With `words`, positions also read these by cross-attention, wherever there is attention.
        """
        event, space = x.shape[1:], spatial_shape(x.shape[1:])
        vector = condition_vector(half_log_snr, label, 4 * self.channels[0], self.num_classes)
        maps = to_patches(x.reshape(len(x), *space, -1), self.patch)
        out_channels, skips = maps.shape[-1], []
        maps = _conv(self.options, self.channels[0])(maps)
        for level, features in enumerate(self.channels):
            if level:
                maps = _conv(self.options, features, STRIDE)(maps)
            maps, skip = self._scanned(_Down, level, *SHARED)(maps, vector, words)
            skips.append(skip)
        coarsest = len(self.channels) - 1
        middle = ResidualBlock(self.channels[-1], coarsest in self.attention, self.options)
        maps = middle(maps, vector, words)
        for level in reversed(range(len(self.channels))):
            skip = skips[level][::-1]
            if level < coarsest:
                maps = _conv(self.options, self.channels[level])(_enlarged(maps, skip.shape[2:-1]))
            maps, _ = self._scanned(_Up, level, 0, *SHARED)(maps, skip, vector, words)
        last = _conv(self.options, out_channels, kernel_init=nn.initializers.zeros)
        output = last(nn.silu(_norm(self.options, maps)))
        return from_patches(output, space, self.patch).reshape(len(x), *event)

    def _scanned(self, block: type[nn.Module], level: int, *in_axes) -> nn.Module:
        """Returns `blocks` scanned blocks, each with its own parameters."""
        many = nn.scan(
            block,
            variable_axes={'params': 0},
            split_rngs={'params': True},
            in_axes=in_axes,
            length=self.blocks,
            unroll=UNROLLED,
        )
        return many(self.channels[level], level in self.attention, self.options)


def _conv(options: UNetOptions, features: int, stride: int = 1, **of_conv) -> Callable:
    def layer(x: Maps) -> NewMaps:
        axes = x.ndim - 2
        window = (options.kernel_size,) * axes, (stride,) * axes
        return Conv(features, *window, form=options.form, dtype=options.dtype, **of_conv)(x)

    return layer


def _norm(options: UNetOptions, x: Maps) -> Maps:
    """Group norm, which normalizes each example independently of the batch."""
    channels = x.shape[-1]
    groups = max(g for g in range(1, options.groups + 1) if channels % g == 0)
    return GroupNorm(groups)(x)


def _enlarged(x: Maps, space: tuple[int, ...]) -> NewMaps:
    """Repeats each position `STRIDE` times along every axis, cropped to `space`."""
    for axis, length in enumerate(space, 1):
        x = jax.lax.slice_in_dim(jnp.repeat(x, STRIDE, axis), 0, length, axis=axis)
    return x
