"""A denoising network that reads captions, through a text encoder that is trained with it."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from models.nets.text_encoder import TextEncoder


class ReadsWords(nn.Module):
    """Encodes captions for a network.

    The mean of the encoded words modulates the network, as the features of a condition do. A
    transformer also reads each word by cross-attention (Rombach et al. 2022, section 3.3).

    Attributes:
      body: (x, half log-SNR, features [batch, width + 1]) -> [batch, *event]; with cross-attention,
        it takes the `EncodedWords` as well.
      encoder: of the captions.
      has_cross_attention: whether the body reads the words.
    """

    body: nn.Module
    encoder: TextEncoder
    has_cross_attention: bool

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
        more = (words,) if self.has_cross_attention else ()
        return self.body(x, half_log_snr, features, *more)
