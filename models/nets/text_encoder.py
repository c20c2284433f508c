"""An encoder of captions: transformer blocks in which each word reads all words."""

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from atelier.data.conditions.words import END
from atelier.errors import MAX_UNROLLED, check_sizes
from models.nets.attention import attention
from models.nets.dtypes import sum_dtype
from models.nets.transformer import Block, check_heads

# Initial vectors of words. Adam moves each weight by about the learning rate a step: from small
# vectors, hundreds of steps in a common direction would leave all words alike.
EMBEDDED = nn.initializers.normal(1.0)


class EncodedWords(NamedTuple):
    """A caption's words in context.

    vectors: one for each token, that of the end included; later ones are padding.
    num_visible: number of vectors before the padding, at least 1.
    mean: their mean.
    """

    vectors: Float[Array, 'batch length width']
    num_visible: Int[Array, 'batch']
    mean: Float[Array, 'batch width']


class TextEncoder(nn.Module):
    """Blocks over embedded words and learned positions; an empty caption is its end token alone.

    Attributes:
      num_tokens: number of different tokens.
      text_width: dimensions of a token's vector.
      text_blocks: number of blocks.
      heads: number of attention heads, which divides `text_width`.
      dtype: data type of the matrix products.
    """

    num_tokens: int
    text_width: int
    text_blocks: int
    heads: int
    dtype: DTypeLike = jnp.float32

    def __post_init__(self):
        """Refuses invalid sizes."""
        super().__post_init__()
        check_sizes(self, 'text_width', 'heads')
        check_sizes(self, 'text_blocks', most=MAX_UNROLLED)
        check_heads(self.text_width, self.heads, 'text_width')

    @nn.compact
    def __call__(self, tokens: Int[Array, 'batch length']) -> EncodedWords:
        """Returns the words of captions whose tokens end with `END`, up to the length."""
        length, wide = tokens.shape[1], sum_dtype(self.dtype)
        num_visible = jnp.minimum(jnp.sum(tokens != END, 1) + 1, length)
        positions = self.param('positions', EMBEDDED, (length, self.text_width), jnp.float32)
        embed = nn.Embed(self.num_tokens, self.text_width, embedding_init=EMBEDDED)
        units = embed(tokens) + positions
        attend = lambda *qkv: (attention(*qkv, num_visible=num_visible), None)
        for _ in range(self.text_blocks):
            units, _ = Block(self.heads, self.text_blocks, dtype=self.dtype)(
                units.astype(wide), attend
            )
        vectors = nn.LayerNorm(dtype=wide)(units)
        is_visible = jnp.arange(length) < num_visible[:, None]
        total = jnp.sum(jnp.where(is_visible[..., None], vectors, 0), 1)
        return EncodedWords(vectors, num_visible, total / num_visible[:, None])
