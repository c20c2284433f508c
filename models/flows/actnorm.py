"""Activation normalisation: Kingma and Dhariwal (2018), Glow, section 3.1."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from models.flows.bijectors import Events, Features, LogDet

Channels = Float[Array, '*ones channels']
MIN_STD = 1e-3  # lower bound of the initial std, because a constant channel has std 0


class ActNorm(nn.Module):
    """Subtracts a trained mean from each channel (the last axis) and divides by a trained scale.

    Both are initialized to the mean and standard deviation of the initial batch, so that channels
    start with mean 0 and unit variance. Neither is recomputed from later batches, so that the
    density of x does not depend on the rest of its batch.

    Example:
      >>> weights = {'mean': jnp.asarray([3.0]), 'log_std': jnp.log(jnp.asarray([2.0]))}
      >>> layer = ActNorm().bind({'params': weights})
      >>> z, log_det = layer.forward_and_log_det(jnp.asarray([[5.0]]))  # (5 - 3) / 2; -log 2
      >>> x, _ = layer.inverse_and_log_det(z)
      >>> [round(v.item(), 3) for v in (z, log_det, x)]
      [1.0, -0.693, 5.0]
    """

    def forward_and_log_det(self, x: Events, condition: Features = None) -> tuple[Events, LogDet]:
        """(x - mean) / std."""
        mean, log_std = self._moments(x)
        return (x - mean) * jnp.exp(-log_std), self._log_volume(x, -log_std)

    def inverse_and_log_det(self, z: Events, condition: Features = None) -> tuple[Events, LogDet]:
        """mean + std z."""
        mean, log_std = self._moments(z)
        return z * jnp.exp(log_std) + mean, self._log_volume(z, log_std)

    @nn.compact
    def _moments(self, x: Events) -> tuple[Channels, Channels]:
        """Returns the trained mean and log std of the channels, shaped to broadcast against x."""
        axes = tuple(range(x.ndim - 1))
        std = lambda: jnp.maximum(jnp.std(x, axes), MIN_STD)
        mean = self.param('mean', lambda key: jnp.mean(x, axes))
        log_std = self.param('log_std', lambda key: jnp.log(std()))
        along = lambda a: jnp.expand_dims(a, axes)
        return along(mean), along(log_std)

    def _log_volume(self, x: Events, log_scale: Channels) -> LogDet:
        event = jnp.broadcast_to(log_scale, (1, *x.shape[1:]))
        return jnp.full(len(x), event.sum(), x.dtype)
