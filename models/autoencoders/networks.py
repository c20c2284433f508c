"""Networks of an autoencoder: modules with the methods `encode` and `decode`."""

import math
from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

Events = Float[Array, 'batch *event']
Codes = Float[Array, 'batch latent']


def linear(codes: Codes) -> Codes:
    """The identity, for codes without an activation."""
    return codes


class Pair(nn.Module):
    """An encoder network and a decoder network.

    Attributes:
      encoder: [batch, *event] -> [batch, latent].
      decoder: [batch, latent] -> [batch, *event].
      code_activation: activation of the codes.
    """

    encoder: nn.Module
    decoder: nn.Module
    code_activation: Callable = linear

    def encode(self, x: Events) -> Codes:
        """Codes of normalized events."""
        return self.code_activation(self.encoder(x))

    def decode(self, codes: Codes) -> Events:
        """Decoder output, whose meaning the family defines."""
        return self.decoder(codes)

    def __call__(self, x: Events) -> Events:
        """Encodes, then decodes."""
        return self.decode(self.encode(x))


class TiedMLP(nn.Module):
    """MLP with tied weights: decoder matrices are transposed encoder matrices (Rifai et al. 2011).

    Weights that shrink the codes also shrink the reconstruction, so the decoder cannot undo a
    contraction with larger weights.

    Attributes:
      hidden_sizes: units of the encoder's hidden layers.
      latent_dim: dimensions of a code.
      event_shape: shape of x.
      activation: applied after every hidden layer.
      code_activation: activation of the codes.
      dtype: data type of the computation; parameters and outputs are float32.
    """

    hidden_sizes: tuple[int, ...]
    latent_dim: int
    event_shape: tuple[int, ...]
    activation: Callable = nn.relu
    code_activation: Callable = linear
    dtype: DTypeLike = jnp.float32

    def setup(self):
        """Creates one matrix and two biases per layer."""
        sizes = (math.prod(self.event_shape), *self.hidden_sizes, self.latent_dim)
        init, zeros = nn.initializers.lecun_normal(), nn.initializers.zeros
        pairs = list(enumerate(zip(sizes[:-1], sizes[1:], strict=True)))
        self.kernels = [self.param(f'kernel_{i}', init, pair) for i, pair in pairs]
        self.up = [self.param(f'encoder_bias_{i}', zeros, (n,)) for i, (_, n) in pairs]
        self.down = [self.param(f'decoder_bias_{i}', zeros, (n,)) for i, (n, _) in pairs]

    def encode(self, x: Events) -> Codes:
        """Codes of normalized events."""
        layers = list(zip(self.kernels, self.up, strict=True))
        return self.code_activation(self._layers(x.reshape(x.shape[0], -1), layers))

    def decode(self, codes: Codes) -> Events:
        """Decoder output, whose meaning the family defines."""
        layers = [(k.T, b) for k, b in zip(self.kernels, self.down, strict=True)]
        return self._layers(codes, layers[::-1]).reshape(codes.shape[0], *self.event_shape)

    def __call__(self, x: Events) -> Events:
        """Encodes, then decodes."""
        return self.decode(self.encode(x))

    def _layers(self, x, layers):
        for layer, (kernel, bias) in enumerate(layers, 1):
            x = x.astype(self.dtype) @ kernel.astype(self.dtype) + bias.astype(self.dtype)
            x = self.activation(x) if layer < len(layers) else x
        return x.astype(jnp.float32)
