"""Scaled dot-product attention (Vaswani et al. 2017, equation 1), in a form that suits the device.

There are two forms. That of cuDNN computes the scores block by block and never stores them. It
needs a GPU, bfloat16 or float16, several queries, and heads whose size is a multiple of 8, at most
128. The order of the sums in its derivatives is not fixed, unless the program is compiled with
`atelier.core.compilation.REPEATABLE`, as training is. Everywhere else the scores [batch, heads,
tokens, keys] are stored in float32, and so they are if `segments` restrict what is read.
"""

import math
import warnings

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from models.nets.dtypes import sum_dtype

MAX_HEAD_DIM, HEAD_DIM_UNIT = 128, 8  # heads that cuDNN accepts on every card
Heads = Float[Array, 'batch tokens heads head_dim']
KeyHeads = Float[Array, 'batch keys heads head_dim']


def attention(
    queries: Heads,
    keys: KeyHeads,
    values: KeyHeads,
    is_causal: bool = False,
    num_visible: Int[Array, 'batch'] | Int[Array, ''] | None = None,
    segments: Int[Array, 'batch tokens'] | None = None,
) -> Heads:
    """Returns the mean of the values, weighted by the softmax of queries . keys / sqrt(head_dim).

    Args:
      queries, keys, values: data of each head; of equal type.
      is_causal: whether query i reads keys 0 to i only.
      num_visible: the number of leading keys that are read, of each example or of all; at least 1.
        The others are padding, or the part of a cache that is still empty. None: all keys.
      segments: the segment of each token, where queries and keys are of the same tokens: a query
        reads the keys of its own segment only. None: of all.

    Warns if cuDNN should be able to compute it and refuses.
    """
    if num_visible is not None:
        num_visible = jnp.broadcast_to(num_visible, len(queries)).astype(jnp.int32)
    is_for_cudnn = queries.shape[1] > 1 and suits_cudnn(queries.dtype, queries.shape[-1])
    if is_for_cudnn and segments is None:
        try:
            return jax.nn.dot_product_attention(
                queries,
                keys,
                values,
                is_causal=is_causal,
                key_value_seq_lengths=num_visible,
                implementation='cudnn',
            )
        except (NotImplementedError, RuntimeError) as error:
            warnings.warn(f'attention without cuDNN, which refuses it: {error}', stacklevel=2)
    return with_scores(queries, keys, values, is_causal, num_visible, segments)


def for_flax(queries: Heads, keys: KeyHeads, values: KeyHeads, mask: Array | None = None) -> Heads:
    """`attention` to all keys, as the `attention_fn` of Flax's layers.

    Raises:
      ValueError: a mask is given.
    """
    if mask is not None:
        raise ValueError('this attention takes no mask')
    return attention(queries, keys, values)


def suits_cudnn(dtype: DTypeLike, head_dim: int) -> bool:
    """Whether cuDNN's attention takes heads of this type and size on the default backend."""
    is_low = dtype in (jnp.bfloat16, jnp.float16)
    is_fitting = head_dim % HEAD_DIM_UNIT == 0 and head_dim <= MAX_HEAD_DIM
    return is_low and is_fitting and jax.default_backend() == 'gpu'


def with_scores(
    queries: Heads,
    keys: KeyHeads,
    values: KeyHeads,
    is_causal: bool,
    num_visible: Int[Array, 'batch'] | None,
    segments: Int[Array, 'batch tokens'] | None = None,
) -> Heads:
    """`attention` with stored scores, which are float32, or float64 if the queries are.

    Each head multiplies [tokens, head_dim] matrices: with the heads before the tokens, XLA's CPU
    backend needs no other layout.
    """
    scale, wide = 1 / math.sqrt(queries.shape[-1]), sum_dtype(queries.dtype)
    queries, keys, values = (jnp.swapaxes(x, 1, 2) for x in (queries, keys, values))
    scores = jnp.einsum('bhqn,bhkn->bhqk', queries, keys, preferred_element_type=wide)
    is_visible = _visible(scores.shape, is_causal, num_visible)
    if segments is not None:
        in_segment = segments[:, None, :, None] == segments[:, None, None, :]
        is_visible = in_segment if is_visible is None else is_visible & in_segment
    scores = scale * scores
    if is_visible is not None:
        scores = jnp.where(is_visible, scores, -jnp.inf)
    weights = jax.nn.softmax(scores).astype(values.dtype)
    return jnp.swapaxes(jnp.einsum('bhqk,bhkn->bhqn', weights, values), 1, 2)


def _visible(shape: tuple[int, ...], is_causal: bool, num_visible: Array | None) -> Array | None:
    """Returns a mask that broadcasts to scores [batch, heads, tokens, keys]; None if all count."""
    *_, tokens, keys = shape
    mask = jnp.tri(tokens, keys, dtype=bool) if is_causal else None
    if num_visible is None:
        return mask
    is_filled = jnp.arange(keys) < num_visible[:, None, None, None]
    return is_filled if mask is None else mask & is_filled
