"""The encoder's part at one stochastic layer of a hierarchical VAE."""

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from models.nets.mlp import MLP


class Rung(nn.Module):
    """Features of what lies below, and from them a diagonal Gaussian of this layer's latents.

    Attributes:
      hidden_sizes: units of the layers, the last of which are the features; empty: what lies below
        is itself the features, and the Gaussian an affine map of it.
      latent_dim: dimensions of this layer's latents.
      activation: after every hidden layer.
      dtype: of the products; parameters and outputs are float32.
    """

    hidden_sizes: tuple[int, ...]
    latent_dim: int
    activation: Callable = nn.tanh
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, 'batch *event']
    ) -> tuple[Float[Array, 'batch units'], Float[Array, 'batch twice']]:
        """Returns (features, mean and log variance side by side [batch, 2 * latent_dim])."""
        features = x.reshape(x.shape[0], -1)
        if self.hidden_sizes:
            *sizes, last = self.hidden_sizes
            hidden = MLP(tuple(sizes), (last,), self.activation, self.dtype)
            features = self.activation(hidden(features))
        return features, MLP((), (2 * self.latent_dim,), dtype=self.dtype)(features)
