"""Fully connected networks."""

import functools
import math
from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float


class MLP(nn.Module):
    """Flattens each event, applies dense layers, and shapes the last one's output.

    Attributes:
      hidden_sizes: units of the hidden layers; empty for an affine map.
      output_shape: shape of one output.
      activation: applied after every hidden layer.
      dtype: data type of the dense layers; parameters and outputs are float32.
      norm: constructs a normalization layer before each activation; hidden layers then have no
        bias.
      is_first_plain: whether the first hidden layer has a bias and no norm. Batch norm there would
        hide what all examples of a batch have in common, and a discriminator needs that to
        recognize fakes.
      last_bias: whether the last layer has a bias.
      kernel_init: initializer of every layer's kernel.
    """

    hidden_sizes: tuple[int, ...]
    output_shape: tuple[int, ...]
    activation: Callable = nn.relu
    dtype: DTypeLike = jnp.float32
    norm: Callable[[], nn.Module] | None = None
    last_bias: bool = True
    kernel_init: Callable = nn.initializers.lecun_normal()
    is_first_plain: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, 'batch *event']) -> Float[Array, 'batch *output']:
        """Returns [batch, *output_shape] in float32."""
        x = x.reshape(x.shape[0], -1).astype(self.dtype)
        layer = functools.partial(nn.Dense, dtype=self.dtype, kernel_init=self.kernel_init)
        for index, size in enumerate(self.hidden_sizes):
            norm = None if index == 0 and self.is_first_plain else self.norm
            x = layer(size, use_bias=norm is None)(x)
            x = self.activation(norm()(x) if norm else x)
        x = layer(math.prod(self.output_shape), use_bias=self.last_bias)(x)
        return x.reshape(x.shape[0], *self.output_shape).astype(jnp.float32)


def maxout(x: Float[Array, '*batch units'], pieces: int) -> Float[Array, '*batch fewer']:
    """The activation max over every `pieces` neighbouring units (Goodfellow et al. 2013)."""
    return jnp.max(x.reshape(*x.shape[:-1], -1, pieces), -1)
