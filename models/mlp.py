"""Fully connected networks."""

import math
from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

ACTIVATIONS = {
    'relu': nn.relu,
    'tanh': nn.tanh,
    'gelu': nn.gelu,
    'silu': nn.silu,
    'softplus': nn.softplus,
}
PRECISIONS = {'float32': jnp.float32, 'bfloat16': jnp.bfloat16}  # of the matrix products


class MLP(nn.Module):
    """Flattens each event, applies dense layers, and shapes the last one's output.

    Attributes:
      hidden_sizes: units of the hidden layers; empty for an affine map.
      output_shape: shape of one output.
      activation: after every hidden layer.
      dtype: of the products; parameters and outputs are float32.
    """

    hidden_sizes: tuple[int, ...]
    output_shape: tuple[int, ...]
    activation: Callable = nn.relu
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, 'batch *event']) -> Float[Array, 'batch *output']:
        """Returns [batch, *output_shape] in float32."""
        x = x.reshape(x.shape[0], -1).astype(self.dtype)
        for size in self.hidden_sizes:
            x = self.activation(nn.Dense(size, dtype=self.dtype)(x))
        x = nn.Dense(math.prod(self.output_shape), dtype=self.dtype)(x)
        return x.reshape(x.shape[0], *self.output_shape).astype(jnp.float32)
