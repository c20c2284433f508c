"""Networks of a hierarchical VAE: an encoder and a decoder for each stochastic layer."""

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from atelier.errors import MAX_UNROLLED, UserError, at_least
from models.nets.mlp import MLP


def networks_of(
    output_shape: tuple[int, ...],
    latent_dims: tuple[int, ...],
    hidden_sizes: tuple[int, ...],
    hidden_layers: int,
    **network,
) -> dict[str, nn.Module]:
    """Encoder and decoder of each stochastic layer, named as in `HierarchicalNetworks`.

    Args:
      output_shape: shape of the parameters of p(x | z_1).
      latent_dims: dimensions of z_1, z_2, ...
      hidden_sizes: units per hidden layer of the networks between x and z_1, z_1 and z_2, ...
      hidden_layers: number of hidden layers in each network.
      **network: activation and dtype.

    Raises:
      UserError: there are fewer than two layers, lists of different lengths, or no hidden layers.
    """
    if len(latent_dims) < 2:
        raise UserError(
            f'config.model.latent_dims is {latent_dims}: give two stochastic layers or more, or '
            'use configs/vae.py'
        )
    if len(hidden_sizes) != len(latent_dims):
        raise UserError(
            f'config.model.hidden_sizes is {hidden_sizes} and latent_dims {latent_dims}: give one '
            'size for each stochastic layer'
        )
    at_least(1, 'model.hidden_layers', hidden_layers, most=MAX_UNROLLED)
    outputs = [output_shape, *((2 * dim,) for dim in latent_dims)]
    networks = {}
    for layer, (dim, size) in enumerate(zip(latent_dims, hidden_sizes, strict=True), 1):
        hidden = (size,) * hidden_layers
        networks[f'encoder_{layer}'] = Rung(hidden, dim, **network)
        networks[f'decoder_{layer}'] = MLP(hidden, outputs[layer - 1], **network)
    return networks


class Rung(nn.Module):
    """Computes features from the layer below, and from them a diagonal Gaussian over this layer's
    latents.

    Attributes:
      hidden_sizes: units of the hidden layers; the last one outputs the features. If empty, the
        features are the input itself, and the Gaussian's parameters are an affine map of the input.
      latent_dim: dimensions of this layer's latents.
      activation: applied after every hidden layer.
      dtype: data type of the matrix products; parameters and outputs are float32.
    """

    hidden_sizes: tuple[int, ...]
    latent_dim: int
    activation: Callable = nn.tanh
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, 'batch *event']
    ) -> tuple[Float[Array, 'batch units'], Float[Array, 'batch twice']]:
        """Returns (features, concatenated mean and log variance [batch, 2 * latent_dim])."""
        features = x.reshape(x.shape[0], -1)
        if self.hidden_sizes:
            *sizes, last = self.hidden_sizes
            hidden = MLP(tuple(sizes), (last,), self.activation, self.dtype)
            features = self.activation(hidden(features))
        return features, MLP((), (2 * self.latent_dim,), dtype=self.dtype)(features)
