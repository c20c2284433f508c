"""Flat codes [batch, latent] around networks whose codes are maps [batch, *positions, channels]."""

import math

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float


class FlatPosterior(nn.Module):
    """The encoder of a VAE, from a network that returns a map of means and log variances.

    Rombach et al. (2022), High-Resolution Image Synthesis with Latent Diffusion Models, appendix G:
    the posterior is a diagonal Gaussian at each position.

    Attributes:
      body: [batch, *event] -> [batch, *positions, 2 * channels], concatenated means and log
        variances.
    """

    body: nn.Module

    @nn.compact
    def __call__(self, x: Float[Array, 'batch *event']) -> Float[Array, 'batch outputs']:
        """Returns the flat means, then the flat log variances; outputs = 2 * latent."""
        mean, log_var = jnp.split(self.body(x), 2, axis=-1)
        flat = lambda maps: maps.reshape(len(maps), math.prod(maps.shape[1:]))
        return jnp.concatenate([flat(mean), flat(log_var)], axis=-1)


class FlatDecoder(nn.Module):
    """A decoder of flat codes, from one of maps.

    Attributes:
      body: [batch, *map_shape] -> [batch, *output].
      map_shape: [*positions, channels].
    """

    body: nn.Module
    map_shape: tuple[int, ...]

    @nn.compact
    def __call__(self, z: Float[Array, 'batch latent']) -> Float[Array, 'batch *output']:
        """Returns what `body` returns for z as maps."""
        return self.body(z.reshape(len(z), *self.map_shape))
