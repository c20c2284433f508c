"""Generator and discriminator networks around arbitrary bodies, and packing of examples."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from atelier.errors import UserError, at_least
from models.nets.conditioning import embedded
from models.nets.conv import Conv
from models.nets.conv_encoder_decoder import ConvEncoder

CONDITIONINGS = ('projection', 'embedding')
LOGIT_WINDOW = 3  # positions along each axis that a logit of a patch reads
Sizes = tuple[int, ...]


def discriminator_layers(hidden_sizes: Sizes, pieces: int, has_norm: bool) -> tuple[Sizes, Sizes]:
    """Sizes of a discriminator's inner dense layers, and of the last one, which outputs features.

    Args:
      hidden_sizes: units of each layer, counted after its activation.
      pieces: units per maxout activation (Goodfellow et al. 2013).
      has_norm: whether the layers between the first and the last are normalized.

    Raises:
      UserError: there is less than one piece, or no layer to normalize.
    """
    at_least(1, 'model.maxout_pieces', pieces)
    if has_norm and len(hidden_sizes) < 3:
        raise UserError(
            "config.model.discriminator_norm='batch': the discriminator's first and last layer "
            'have no norm, so give --config.model.discriminator_hidden_sizes three sizes or more'
        )
    *inner, last = (size * pieces for size in hidden_sizes)
    return tuple(inner), (last,)


class Generator(nn.Module):
    """Maps noise, concatenated with a label embedding, to a normalized event.

    Attributes:
      body: [batch, inputs] -> [batch, *event].
      is_bounded: whether normalized events lie in [0, 1].
      num_classes: number of classes of the label, or of features; 0 if the network takes neither.
      embedding_dim: dimensions of the label embedding.
    """

    body: nn.Module
    is_bounded: bool
    num_classes: int = 0
    embedding_dim: int = 16

    @nn.compact
    def __call__(
        self, z: Float[Array, 'batch latent'], label: Array | None
    ) -> Float[Array, 'batch *event']:
        """Returns normalized events; `label` is [batch], or features [batch, features]."""
        if self.num_classes:
            table = nn.Embed(self.num_classes, self.embedding_dim)
            z = jnp.concatenate([z, embedded(table.embedding, label)], -1)
        x = self.body(z)
        return jax.nn.sigmoid(x) if self.is_bounded else x


class Discriminator(nn.Module):
    """Features, and a logit that is affine in them.

    Attributes:
      body: [packs, ...] -> [packs, units], before the activation.
      activation: activation of the body's units; its outputs are the features.
      num_classes: number of classes of the label, or of features; 0 if the network takes neither.
      conditioning: 'projection' adds the inner product of the features and a class embedding
        (Miyato and Koyama 2018, equation 3) to the logit; 'embedding' multiplies the features by
        1 + a class embedding.
      kernel_init: initializer of the last layer's kernel.
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
            vector = embedded(nn.Embed(self.num_classes, features.shape[-1]).embedding, label)
        if self.num_classes and self.conditioning == 'embedding':
            features = features * (1 + vector)
        logits = nn.Dense(1, kernel_init=self.kernel_init)(features)[:, 0]
        if self.num_classes and self.conditioning == 'projection':
            logits += jnp.sum(vector * features, -1)
        return logits, features


class PatchDiscriminator(ConvEncoder):
    """Judges patches: convolutions of stride 2, then one of stride 1 that returns the logits.

    Isola et al. (2017), Image-to-Image Translation with Conditional Adversarial Networks, section
    3.2.2. A logit depends on the pixels that its position sees. The attributes are those of
    `ConvEncoder`; hidden_sizes and output_shape are unused.
    """

    @nn.compact
    def __call__(
        self, x: Float[Array, 'batch *event'], label: Array | None
    ) -> tuple[Float[Array, 'batch *positions'], Float[Array, 'batch *positions features']]:
        """Returns (logits, features); `label` is None."""
        features = self._convolutions(x)
        window = (LOGIT_WINDOW,) * (features.ndim - 2)
        options = dict(form=self.form, dtype=self.dtype, kernel_init=self.kernel_init)
        return Conv(1, window, **options)(features)[..., 0], features


def pack(x: Float[Array, 'batch *event'], packing: int) -> Float[Array, 'packs *channelled']:
    """Stacks neighbours in the batch as channels: [batch / packing, *event, packing].

    Lin et al. (2018), PacGAN, section 3. With packing = 1, x is returned unchanged.

    Raises:
      ValueError: `packing` does not divide the number of examples on this device.
    """
    if packing == 1:
        return x
    if len(x) % packing:
        raise ValueError(f'{len(x)} examples on a device do not fill packs of {packing}')
    return jnp.moveaxis(x.reshape(-1, packing, *x.shape[1:]), 1, -1)
