"""A denoising network that reads captions, through a text encoder that is trained with it."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from models.nets.text_encoder import TextEncoder


class ReadsWords(nn.Module):
    """Encodes captions for a network.

    The mean of the encoded words modulates the network, as the features of a condition do. Its
    positions read each word by cross-attention (Rombach et al. 2022, section 3.3).

    Attributes:
      body: (x, half log-SNR, features [batch, width + 1], `EncodedWords`) -> [batch, *event].
      encoder: of the captions.
    """

    body: nn.Module
    encoder: TextEncoder

    @nn.compact
    def __call__(
        self,
        x: Float[Array, 'batch *event'],
        half_log_snr: Float[Array, 'batch'],
        tokens: Int[Array, 'batch length'],
    ) -> Float[Array, 'batch *event']:
        """Returns the body's output for x and the tokens of captions; END alone stands for any."""
        words = self.encoder(tokens)
        features = jnp.pad(words.mean, ((0, 0), (0, 1)))  # the encoder has its own null caption
        return self.body(x, half_log_snr, features, words)
