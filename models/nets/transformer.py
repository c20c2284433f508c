"""A causal transformer of tokens (Vaswani et al. 2017), in the layout of GPT-2.

Decoder only: learned token and position embeddings (or rotary queries and keys:
`models.nets.rotary`), and norms before attention and MLP (Radford et al. 2019, section 2.3). Token
i is predicted from the tokens before it. The first token is predicted from a learned start vector,
so that the vocabulary needs no start token. The same parameters are used in two ways.

A whole sequence at once, for training and likelihoods:

    net = Transformer(vocab_size=65, length=64, width=128, blocks=4, heads=4)
    params = net.init(key, tokens)['params']                     # tokens int [batch, 1..length]
    logits = net.apply({'params': params}, tokens)               # [batch, length, vocab]
    logits = net.apply({'params': params}, tokens, keys=keys)    # training: dropout keys [batch, 2]

`logits[:, i]` predict `tokens[:, i]` only from `tokens[:, :i]`; the last token is not read.

One token at a time, with a cache of the keys and values of earlier tokens:

    cache = empty_cache(net, batch)                              # or shorter: length=32
    cache, logits = net.apply(
        {'params': params}, cache, previous, position, method='step'
    )                                                            # [batch, vocab]

These are the same logits[:, position]. `previous` [batch] is the token at position - 1, or any
value at position 0. Positions run in order from 0, and are the same for the whole batch; they may
be traced, and the cache can be the carry of a `lax.scan`. The cache holds `length` positions. A
step beyond them silently overwrites the last one, so begin a new cache with the tokens that should
stay visible. If the network has `num_classes`, both ways take a `label` [batch] or features
[batch, num_classes], whose embedding is added to every position.

A row may hold several sequences of at most `length` tokens (`models.nets.packed_rows`):

    logits = net.apply({'params': params}, tokens, bounds=bounds(tokens))    # rows of any length

Each then begins with the start vector at position 0, and its tokens are read by no other.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, UInt32

from atelier.core.randomness import fold_in
from atelier.errors import MAX_UNROLLED, UserError, at_least, check_sizes, share
from models.nets.attention import Heads, attention
from models.nets.conditioning import Given, embedded
from models.nets.dropout import dropout
from models.nets.dtypes import sum_dtype
from models.nets.packed_rows import Bounds
from models.nets.rotary import rotated

MLP_FACTOR = 4  # hidden units of a block's MLP, in multiples of the width
SMALL = nn.initializers.normal(0.02)  # initializer of the layer that outputs logits
Units = Float[Array, 'batch tokens width']
Label = Given | None
Keys = UInt32[Array, 'batch 2'] | None


def check_heads(width: int, heads: int, field: str = 'width') -> None:
    """Requires that the number of attention heads divides the width, a field of config.model.

    Raises:
      UserError: the number does not divide the width; the message names both config fields.
    """
    if width % heads:
        raise UserError(f'config.model.heads={heads} do not divide config.model.{field}={width}')


class BlockCache(NamedTuple):
    """A block's keys and values at earlier positions: [batch, heads, length, head dim] each."""

    keys: Array
    values: Array


class Block(nn.Module):
    """An attention branch, then an MLP branch, each added to the residual stream.

    Attributes:
      heads: number of attention heads.
      depth: number of blocks of the network. The initial standard deviation of each branch's output
        kernel is smaller by a factor of sqrt(2 depth).
      dropout: fraction of each branch's output that training drops.
      dtype: data type of the matrix products; norms, softmax and sums are at least float32.
    """

    heads: int
    depth: int
    dropout: float = 0.0
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, units: Units, attend: Callable, keys: Keys = None) -> tuple[Units, object]:
        """Returns the residual stream after this block, and the cache that `attend` returns.

        Args:
          units: [batch, tokens, width].
          attend: (queries, keys, values), [batch, tokens, heads, head dim] each -> (mixed values of
            the queries' shape, the cache or None).
          keys: random keys of dropout; None disables dropout.
        """
        width, wide = units.shape[-1], sum_dtype(self.dtype)
        layer = functools.partial(nn.Dense, dtype=self.dtype)
        small = nn.initializers.variance_scaling(0.5 / self.depth, 'fan_in', 'truncated_normal')
        norm = functools.partial(nn.LayerNorm, dtype=wide)

        def branch(inner: Array, index: int) -> Array:
            outputs = layer(width, kernel_init=small, name=f'add_{index}')(inner).astype(wide)
            if keys is None or not self.dropout:
                return outputs
            return dropout(outputs, fold_in(keys, index), self.dropout)

        qkv = layer(3 * width, name='attention')(norm()(units))
        qkv = qkv.reshape(*units.shape[:2], 3, self.heads, -1)
        mixed, cache = attend(*jnp.moveaxis(qkv, 2, 0))
        units += branch(mixed.reshape(units.shape), 0)
        inner = nn.gelu(layer(MLP_FACTOR * width, name='widen')(norm()(units)))
        return units + branch(inner, 1), cache


class Transformer(nn.Module):
    """Blocks over embedded tokens; the module docstring shows the calls.

    Attributes:
      vocab_size: size of the vocabulary; tokens are 0..vocab_size - 1.
      length: maximum number of tokens in a sequence.
      width: dimensions of a token's vector.
      blocks: number of blocks.
      heads: number of attention heads, which divides `width`.
      num_classes: number of classes of the label, or of features; 0 if the network takes neither.
      embedding_deviation: initial standard deviation of token, start, position and label
        embeddings. Tied token embeddings are initialized like the last layer.
      dropout: fraction of the embedded tokens and of each branch's output that training drops
        (Vaswani et al., section 5.4).
      is_rotary: whether rotary embedding replaces the table of positions.
      is_tied: whether the token embedding is also the last layer (Press and Wolf 2017).
      dtype: data type of the matrix products. Parameters are float32; norms, softmax, sums and
        logits are at least float32.
    """

    vocab_size: int
    length: int
    width: int
    blocks: int
    heads: int
    num_classes: int = 0
    embedding_deviation: float = 0.02
    dropout: float = 0.0
    is_rotary: bool = False
    is_tied: bool = False
    dtype: DTypeLike = jnp.float32

    def __post_init__(self):
        """Rejects invalid sizes."""
        super().__post_init__()
        check_sizes(self, 'width', 'heads')
        check_sizes(self, 'blocks', most=MAX_UNROLLED)
        check_heads(self.width, self.heads)
        if self.is_rotary and self.width // self.heads % 2:
            raise UserError(
                'config.model.is_rotary=True: config.model.width / config.model.heads='
                f'{self.width // self.heads} must be even'
            )
        at_least(0, 'model.embedding_deviation', self.embedding_deviation)
        share('model.dropout', self.dropout, below_one=True)

    def setup(self):
        """Creates the embedding tables and the blocks."""
        embedded = nn.initializers.normal(self.embedding_deviation)

        def table(name: str, *shape: int, init: Callable = embedded) -> Array:
            return self.param(name, init, (*shape, self.width), jnp.float32)

        self.tokens = table('tokens', self.vocab_size, init=SMALL if self.is_tied else embedded)
        self.start = table('start')
        self.places = None if self.is_rotary else table('places', self.length)
        self.classes = table('classes', self.num_classes) if self.num_classes else None
        self.head = self.tokens if self.is_tied else table('head', self.vocab_size, init=SMALL)
        self.layers = [
            Block(self.heads, self.blocks, self.dropout, self.dtype) for _ in range(self.blocks)
        ]
        self.norm = nn.LayerNorm(dtype=sum_dtype(self.dtype))

    def __call__(
        self,
        tokens: Int[Array, 'batch tokens'],
        label: Label = None,
        keys: Keys = None,
        bounds: Bounds | None = None,
    ) -> Float[Array, 'batch tokens vocab']:
        """Returns the logits of all tokens given the earlier ones; with `keys`, applies dropout.

        With `bounds`, given the earlier ones of the same sequence in a packed row.
        """
        count = tokens.shape[1]
        start = jnp.broadcast_to(self.start, (len(tokens), 1, self.width))
        units = jnp.concatenate([start, self.tokens[tokens[:, :-1]]], 1)
        positions, segments = jnp.arange(count), None
        if bounds is not None:
            units = jnp.where(bounds.begins[..., None], self.start, units)
            segments = bounds.segments
            # rotary attention depends on differences of positions, which are those in the row
            positions = positions if self.is_rotary else bounds.positions
        units = self._with_positions(units, positions, label)
        if keys is not None and self.dropout:
            units = dropout(units, fold_in(keys, 0), self.dropout)
        attend = lambda *qkv: (
            attention(*self._rotated(positions, *qkv), is_causal=True, segments=segments),
            None,
        )
        for index, block in enumerate(self.layers, 1):
            block_keys = None if keys is None else fold_in(keys, index)
            units, _ = block(units, attend, block_keys)
        return self._logits(units)

    def step(
        self,
        cache: tuple[BlockCache, ...],
        previous: Int[Array, 'batch'],
        position: Int[Array, ''] | int,
        label: Label = None,
    ) -> tuple[tuple[BlockCache, ...], Float[Array, 'batch vocab']]:
        """Returns the cache including this position, and the logits of its token."""
        units = jnp.where(position > 0, self.tokens[previous], self.start)[:, None]
        positions = jnp.asarray(position)[None]
        units = self._with_positions(units, positions, label)
        new_cache = []
        for block, block_cache in zip(self.layers, cache, strict=True):
            attend = lambda *qkv, cache=block_cache: attend_to_cache(
                cache, position, *self._rotated(positions, *qkv)
            )
            units, block_cache = block(units, attend)
            new_cache.append(block_cache)
        return tuple(new_cache), self._logits(units)[:, 0]

    def _with_positions(
        self, units: Units, positions: Int[Array, '*rows tokens'], label: Label
    ) -> Units:
        units = units.astype(sum_dtype(self.dtype))
        if not self.is_rotary:
            units += self.places[positions]
        return units if self.classes is None else units + embedded(self.classes, label)[:, None]

    def _rotated(
        self, positions: Int[Array, '*rows tokens'], queries: Heads, keys: Heads, values: Heads
    ):
        if not self.is_rotary:
            return queries, keys, values
        return rotated(queries, positions), rotated(keys, positions), values

    def _logits(self, units: Units) -> Float[Array, 'batch tokens vocab']:
        last, head = self.norm(units).astype(self.dtype), self.head.astype(self.dtype)
        return jnp.einsum('btw,sw->bts', last, head, preferred_element_type=sum_dtype(self.dtype))


def empty_cache(net: Transformer, batch: int, length: int | None = None) -> tuple[BlockCache, ...]:
    """An empty cache per block, with room for `length` positions (by default the net's length)."""
    shape = (batch, net.heads, length or net.length, net.width // net.heads)
    zeros = jnp.zeros(shape, net.dtype)
    return tuple(BlockCache(zeros, zeros) for _ in range(net.blocks))


def attend_to_cache(
    cache: BlockCache, position: Int[Array, ''] | int, queries: Heads, keys: Heads, values: Heads
) -> tuple[Heads, BlockCache]:
    """Attention of one position to itself and the cached positions; returns the new cache too."""
    heads_first = lambda x: jnp.swapaxes(x, 1, 2)
    write = lambda all_, one: jax.lax.dynamic_update_slice_in_dim(
        all_, heads_first(one), position, axis=2
    )
    cache = BlockCache(write(cache.keys, keys), write(cache.values, values))
    cached = heads_first(cache.keys), heads_first(cache.values)
    return attention(queries, *cached, num_visible=jnp.asarray(position) + 1), cache
