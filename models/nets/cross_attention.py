"""Cross-attention: what the positions of a picture read of the words of a caption."""

import functools

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from models.nets.attention import attention
from models.nets.text_encoder import EncodedWords

Positions = Float[Array, 'batch positions width']


class CrossAttention(nn.Module):
    """Attention of positions to the vectors of words (Rombach et al. 2022, section 3.3).

    The output is initially 0, so that a network begins as it would without captions.

    Attributes:
      heads: number of attention heads, which divides the width.
      dtype: data type of the matrix products.
    """

    heads: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, positions: Positions, words: EncodedWords) -> Positions:
        """Returns what is to be added to the positions, in float32."""
        width, layer = positions.shape[-1], functools.partial(nn.Dense, dtype=self.dtype)
        in_heads = lambda a: a.reshape(*a.shape[:2], self.heads, -1)
        queries = layer(width, name='query')(nn.LayerNorm(name='norm')(positions))
        key_and_value = layer(2 * width, name='key_and_value')(words.vectors)
        keys, values = map(in_heads, jnp.split(key_and_value, 2, -1))
        mixed = attention(in_heads(queries), keys, values, num_visible=words.num_visible)
        last = layer(width, kernel_init=nn.initializers.zeros, name='add')
        return last(mixed.reshape(positions.shape)).astype(jnp.float32)
