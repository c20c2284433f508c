"""The two networks of a GAN around bodies of any kind, and packs of examples."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from atelier.errors import UserError, at_least

CONDITIONINGS = ('projection', 'embedding')
Sizes = tuple[int, ...]


def discriminator_layers(hidden_sizes: Sizes, pieces: int, has_norm: bool) -> tuple[Sizes, Sizes]:
    """Sizes of a discriminator's inner dense layers, and of the last one, which makes the features.

    Args:
      hidden_sizes: of all layers.
      pieces: units that an activation takes a maximum of (Goodfellow et al. 2013).
      has_norm: whether the layers between the first and the last are normalized.

    Raises:
      UserError: no pieces, or no layer to normalize.
    """
    at_least(1, 'model.maxout_pieces', pieces)
    if has_norm and len(hidden_sizes) < 3:
        raise UserError(
            "config.model.discriminator_norm='batch': the discriminator's first and last layer go "
            'without, so give three config.model.discriminator_hidden_sizes or more'
        )
    *inner, last = (size * pieces for size in hidden_sizes)
    return tuple(inner), (last,)


class Generator(nn.Module):
    """Noise, and the label as a vector beside it, to an event in the range of the data.

    Attributes:
      body: [batch, numbers] -> [batch, *event].
      is_bounded: whether events lie in [0, 1].
      num_classes: of the label; 0: it sees none.
      embedding_dim: numbers of a label's vector.
    """

    body: nn.Module
    is_bounded: bool
    num_classes: int = 0
    embedding_dim: int = 16

    @nn.compact
    def __call__(
        self, z: Float[Array, 'batch latent'], label: Array | None
    ) -> Float[Array, 'batch *event']:
        """Returns normalized events; `label` is [batch], or weights of classes [batch, classes]."""
        if self.num_classes:
            embed = nn.Embed(self.num_classes, self.embedding_dim)
            vector = embed(label) if label.ndim == 1 else label @ embed.embedding
            z = jnp.concatenate([z, vector], -1)
        x = self.body(z)
        return jax.nn.sigmoid(x) if self.is_bounded else x


class Discriminator(nn.Module):
    """Features, and a logit that is affine in them.

    Attributes:
      body: [packs, ...] -> [packs, units], before the activation.
      activation: of the body's units; it makes the features.
      num_classes: of the label; 0: it sees none.
      conditioning: 'projection' adds the product of the features with a vector of the class (Miyato
        and Koyama 2018, equation 3); 'embedding' scales the features by such a vector.
      kernel_init: of the last layer.
    """

    body: nn.Module
    activation: Callable
    num_classes: int = 0
    conditioning: str = 'projection'
    kernel_init: Callable = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(
        self, x: Float[Array, 'packs *event'], label: Array | None
    ) -> tuple[Float[Array, 'packs'], Float[Array, 'packs features']]:
        """Returns (logits, features)."""
        features = self.activation(self.body(x))
        vector = None
        if self.num_classes:
            vector = nn.Embed(self.num_classes, features.shape[-1])(label)
        if self.num_classes and self.conditioning == 'embedding':
            features = features * (1 + vector)
        logits = nn.Dense(1, kernel_init=self.kernel_init)(features)[:, 0]
        if self.num_classes and self.conditioning == 'projection':
            logits += jnp.sum(vector * features, -1)
        return logits, features


def pack(x: Float[Array, 'batch *event'], packing: int) -> Float[Array, 'packs *channelled']:
    """Neighbours in the batch become channels: [batch / packing, *event, packing].

    Lin et al. (2018), PacGAN, section 3. For 1 nothing changes.

    Raises:
      ValueError: this device's part of the batch is no whole number of packs.
    """
    if packing == 1:
        return x
    if len(x) % packing:
        raise ValueError(f'{len(x)} examples on a device are no whole packs of {packing}')
    return jnp.moveaxis(x.reshape(-1, packing, *x.shape[1:]), 1, -1)
