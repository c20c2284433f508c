"""The diffusion transformer, DiT (Peebles and Xie 2023): full attention over image patches."""

import functools
import math

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from atelier.errors import check_sizes
from models.diffusion.noise_embedding import adaptive_norm, condition_vector
from models.nets import attention
from models.nets.conditioning import Given
from models.nets.conv_encoder_decoder import spatial_shape
from models.nets.cross_attention import CrossAttention
from models.nets.patches import from_patches, to_patches
from models.nets.text_encoder import EncodedWords
from models.nets.transformer import check_heads

MLP_FACTOR = 4  # hidden units of a block's MLP, as a multiple of the token width
Tokens = Float[Array, 'batch tokens width']


class Block(nn.Module):
    """adaLN-Zero, section 3.2: attention, then an MLP, on scaled and shifted inputs, both gated.

    The gates are initialized to zero, so that a new block is the identity.

    Attributes:
      heads: number of attention heads.
      dtype: data type of the matrix products.
    """

    heads: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        tokens: Tokens,
        vector: Float[Array, 'batch dims'],
        words: EncodedWords | None = None,
    ) -> tuple[Tokens, None]:
        """Returns the tokens in float32, and None, as `nn.scan` expects.

        With `words`, the tokens also read these by cross-attention.
        """
        width, layer = tokens.shape[-1], functools.partial(nn.Dense, dtype=self.dtype)
        modulation = _modulation(6, width, vector, self.dtype)
        scale, shift, gate, scale_mlp, shift_mlp, gate_mlp = modulation
        normed = adaptive_norm(tokens, scale, shift)
        layer_of_heads = nn.MultiHeadDotProductAttention(
            self.heads, dtype=self.dtype, attention_fn=attention.for_flax
        )
        tokens += gate * layer_of_heads(normed).astype(jnp.float32)
        if words is not None:
            tokens += CrossAttention(self.heads, self.dtype)(tokens, words)
        wide = nn.gelu(layer(MLP_FACTOR * width)(adaptive_norm(tokens, scale_mlp, shift_mlp)))
        return tokens + gate_mlp * layer(width)(wide).astype(jnp.float32), None


class DiT(nn.Module):
    """Transformer blocks over image patches, under one `nn.scan`; the shape of x is kept.

    Because of the scan, only one block is compiled. Position embeddings are learned.

    Attributes:
      patch: pixels along each axis of a token's patch.
      width: dimensions of a token.
      blocks: number of blocks.
      heads: number of attention heads, which divides `width`.
      num_classes: number of classes of the label, or of features; 0 without a condition. Class
        `num_classes`, or a last feature, is the null label, which stands for any condition.
      dtype: data type of the matrix products; parameters, sums and outputs are float32.
    """

    patch: int
    width: int
    blocks: int
    heads: int
    num_classes: int = 0
    dtype: DTypeLike = jnp.float32

    def __post_init__(self):
        """Refuses invalid sizes."""
        super().__post_init__()
        check_sizes(self, 'patch', 'width', 'blocks', 'heads')
        check_heads(self.width, self.heads)

    @nn.compact
    def __call__(
        self,
        x: Float[Array, 'batch *event'],
        half_log_snr: Float[Array, 'batch'],
        label: Given | None = None,
        words: EncodedWords | None = None,
    ) -> Float[Array, 'batch *event']:
        """Returns [batch, *event] in float32; at initialization the output is 0 for any x.

        With `words`, every block reads these by cross-attention.
        """
        event, space = x.shape[1:], spatial_shape(x.shape[1:])
        vector = condition_vector(half_log_snr, label, self.width, self.num_classes)
        patches = to_patches(x.reshape(len(x), *space, -1), self.patch)
        position_init, count = nn.initializers.normal(0.02), math.prod(patches.shape[1:-1])
        positions = self.param('places', position_init, (count, self.width), jnp.float32)
        layer = functools.partial(nn.Dense, dtype=self.dtype)
        tokens = layer(self.width)(patches.reshape(len(x), count, -1))
        tokens = tokens.astype(jnp.float32) + positions
        tokens, _ = nn.scan(
            Block,
            variable_axes={'params': 0},
            split_rngs={'params': True},
            in_axes=nn.broadcast,
            length=self.blocks,
        )(self.heads, self.dtype)(tokens, vector, words)
        tokens = adaptive_norm(tokens, *_modulation(2, self.width, vector, self.dtype))
        last = layer(patches.shape[-1], kernel_init=nn.initializers.zeros)
        output = last(tokens).astype(jnp.float32).reshape(patches.shape)
        return from_patches(output, space, self.patch).reshape(len(x), *event)


def _modulation(count: int, width: int, vector: Float[Array, 'batch dims'], dtype: DTypeLike):
    """Returns `count` vectors [batch, 1, width] computed from the condition, initially 0."""
    layer = nn.Dense(count * width, dtype=dtype, kernel_init=nn.initializers.zeros)
    return jnp.split(layer(nn.silu(vector)).astype(jnp.float32)[:, None], count, -1)
