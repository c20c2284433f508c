"""The diffusion transformer, DiT (Peebles and Xie 2023): an image as tokens that attend to all."""

import functools
import itertools
import math

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from models.conv_nets import spatial_shape
from models.time_nets import adaptive_norm, condition_vector

WIDENED = 4  # times as many units as a token has, inside a block's MLP
Maps = Float[Array, 'batch *maps']
Tokens = Float[Array, 'batch tokens width']


def to_patches(maps: Maps, patch: int) -> Float[Array, 'batch patches numbers']:
    """Squares of `patch` places a side, row by row; zeros fill up the last ones of an axis.

    Args:
      maps: [batch, *space, channels].
      patch: places along each axis of space.
    """
    space = maps.shape[1:-1]
    counts = _counts(space, patch)
    more = [(0, n * patch - length) for n, length in zip(counts, space, strict=True)]
    filled = jnp.pad(maps, [(0, 0), *more, (0, 0)])
    sides = itertools.chain.from_iterable((n, patch) for n in counts)
    apart = filled.reshape(len(maps), *sides, maps.shape[-1])
    return apart.transpose(_order(len(space))).reshape(len(maps), math.prod(counts), -1)


def from_patches(
    patches: Float[Array, 'batch patches numbers'], space: tuple[int, ...], patch: int
) -> Maps:
    """The inverse of `to_patches` for maps of this `space`."""
    counts, axes = _counts(space, patch), len(space)
    apart = patches.reshape(len(patches), *counts, *[patch] * axes, -1)
    order = _order(axes)
    together = apart.transpose([order.index(axis) for axis in range(len(order))])
    maps = together.reshape(len(patches), *[n * patch for n in counts], apart.shape[-1])
    return maps[(slice(None), *(slice(length) for length in space))]


def _counts(space: tuple[int, ...], patch: int) -> list[int]:
    return [-(-length // patch) for length in space]


def _order(axes: int) -> list[int]:
    """[batch, n_1, patch, n_2, patch, ..., channels] -> all n, all patch."""
    return [0, *range(1, 2 * axes, 2), *range(2, 2 * axes + 1, 2), 2 * axes + 1]


class Block(nn.Module):
    """adaLN-Zero of section 3.2: attention, then an MLP, each scaled, shifted and gated.

    The gates begin at zero, so that a new block is the identity.

    Attributes:
      heads: of the attention.
      dtype: of the products.
    """

    heads: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, tokens: Tokens, vector: Float[Array, 'batch numbers']
    ) -> tuple[Tokens, None]:
        """Returns tokens in float32, and nothing, as `nn.scan` takes it."""
        width, layer = tokens.shape[-1], functools.partial(nn.Dense, dtype=self.dtype)
        changes = _changes(6, width, vector, self.dtype)
        scale, shift, gate, scale_mlp, shift_mlp, gate_mlp = changes
        seen = adaptive_norm(tokens, scale, shift)
        attention = nn.MultiHeadDotProductAttention(
            self.heads, dtype=self.dtype, force_fp32_for_softmax=True
        )
        tokens += gate * attention(seen).astype(jnp.float32)
        wide = nn.gelu(layer(WIDENED * width)(adaptive_norm(tokens, scale_mlp, shift_mlp)))
        return tokens + gate_mlp * layer(width)(wide).astype(jnp.float32), None


class DiT(nn.Module):
    """Blocks over the patches of an image, under one `nn.scan`; [batch, *event] to the same.

    The blocks compile as one, however many there are. Positions are learned.

    Attributes:
      patch: places along each axis that are one token.
      width: numbers of a token.
      blocks: how many.
      heads: of the attention; they divide `width`.
      num_classes: of the label; 0: there is none. Class `num_classes` stands for any.
      dtype: of the products; parameters, sums and outputs are float32.
    """

    patch: int
    width: int
    blocks: int
    heads: int
    num_classes: int = 0
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, 'batch *event'],
        half_log_snr: Float[Array, 'batch'],
        label: Int[Array, 'batch'] | None = None,
    ) -> Float[Array, 'batch *event']:
        """Returns x's shape in float32; at the start 0, whatever x is."""
        event, space = x.shape[1:], spatial_shape(x.shape[1:])
        vector = condition_vector(half_log_snr, label, self.width, self.num_classes)
        patches = to_patches(x.reshape(len(x), *space, -1), self.patch)
        place = nn.initializers.normal(0.02)
        places = self.param('places', place, (patches.shape[1], self.width), jnp.float32)
        layer = functools.partial(nn.Dense, dtype=self.dtype)
        tokens = layer(self.width)(patches).astype(jnp.float32) + places
        tokens, _ = nn.scan(
            Block,
            variable_axes={'params': 0},
            split_rngs={'params': True},
            in_axes=nn.broadcast,
            length=self.blocks,
        )(self.heads, self.dtype)(tokens, vector)
        tokens = adaptive_norm(tokens, *_changes(2, self.width, vector, self.dtype))
        last = layer(patches.shape[-1], kernel_init=nn.initializers.zeros)
        made = from_patches(last(tokens).astype(jnp.float32), space, self.patch)
        return made.reshape(len(x), *event)


def _changes(number: int, width: int, vector: Float[Array, 'batch numbers'], dtype: DTypeLike):
    """So many vectors [batch, 1, width] that the condition says, at the start 0."""
    layer = nn.Dense(number * width, dtype=dtype, kernel_init=nn.initializers.zeros)
    return jnp.split(layer(nn.silu(vector)).astype(jnp.float32)[:, None], number, -1)
