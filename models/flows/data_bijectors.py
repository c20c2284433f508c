"""The first bijector of a flow: from the data's scale to one that suits the layers."""

import math

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from atelier.data.dataset import Spec
from atelier.errors import UserError
from models.flows.bijectors import Events, Features, LogDet

EDGE = 1e-7  # least distance of mapped x to 0 and 1, so that an x of density 0 has a finite code


class Standardized(nn.Module):
    """Standardizes real values by their mean and standard deviation, which may be per column.

    Attributes:
      spec: spec of the data.

    Example:
      >>> layer = Standardized(Spec((1,), None, None, mean=1.0, std=2.0)).bind({})
      >>> z, log_det = layer.forward_and_log_det(jnp.asarray([[5.0]]))
      >>> z.item(), round(log_det.item(), 3), layer.inverse_and_log_det(z)[0].item()  # -log 2
      (2.0, -0.693, 5.0)
    """

    spec: Spec

    def forward_and_log_det(self, x: Events, condition: Features = None) -> tuple[Events, LogDet]:
        """Standardizes x; the log-determinant is minus the sum of all dimensions' log scales."""
        return self.spec.normalize(x), -self._log_volume(x)

    def inverse_and_log_det(self, z: Events, condition: Features = None) -> tuple[Events, LogDet]:
        """Undoes the standardization."""
        return self.spec.denormalize(z), self._log_volume(z)

    def _log_volume(self, x: Events) -> LogDet:
        _, scale = self.spec.affine(x.shape[1:])
        return jnp.full(len(x), jnp.log(scale).sum(), x.dtype)


class Logit(nn.Module):
    """logit(alpha + (1 - 2 alpha) x / top): from an interval to all real numbers.

    Dinh et al. (2017), section 4.1, and Papamakarios et al. (2017), section 4.3. The density is
    positive on the data's interval [0, top], extended by alpha / (1 - 2 alpha) of its length on
    either side. Beyond this interval log p(x) is minus infinity, and the code is that of the
    interval's edge.

    Attributes:
      top: the largest value of x; the smallest is 0.
      alpha: the distance of the mapped data from 0 and 1; above 0 and below 1/2.

    Example:
      >>> layer = Logit(top=4.0, alpha=0.25).bind({})
      >>> z, log_det = layer.forward_and_log_det(jnp.asarray([[2.0]]))  # the middle; -log 2
      >>> z.item(), round(log_det.item(), 3), layer.inverse_and_log_det(z)[0].item()
      (0.0, -0.693, 2.0)
    """

    top: float
    alpha: float

    def forward_and_log_det(self, x: Events, condition: Features = None) -> tuple[Events, LogDet]:
        """Returns the logits, and log_det with respect to x in the data's own units."""
        low, high = self._fraction(x), self._fraction(self.top - x)  # sum to 1
        is_possible = jnp.all(((low > 0) & (high > 0)).reshape(len(x), -1), -1)
        low, high = (jnp.log(jnp.maximum(fraction, EDGE)) for fraction in (low, high))
        log_det = self._log_det(-low - high)
        return low - high, jnp.where(is_possible, log_det, -jnp.inf)

    def inverse_and_log_det(self, z: Events, condition: Features = None) -> tuple[Events, LogDet]:
        """Maps logits back to x."""
        fraction = nn.sigmoid(z)
        x = self.top * (fraction - self.alpha) / (1 - 2 * self.alpha)
        return x, -self._log_det(nn.softplus(z) + nn.softplus(-z))

    def _fraction(self, x: Events) -> Events:
        return self.alpha + (1 - 2 * self.alpha) * x / self.top

    def _log_det(self, log_slopes: Events) -> Float[Array, 'batch']:
        """Returns the summed log slopes: those of the logit, and those of its affine argument."""
        log_slopes = log_slopes + math.log((1 - 2 * self.alpha) / self.top)
        return jnp.sum(log_slopes.reshape(len(log_slopes), -1), -1)


def data_bijector(spec: Spec, alpha: float) -> nn.Module:
    """Returns `Logit` for data with a known interval, otherwise `Standardized`.

    Example:
      >>> type(data_bijector(Spec((2,), levels=256, num_classes=None), alpha=0.05)).__name__
      'Logit'
      >>> type(data_bijector(Spec((2,), levels=None, num_classes=None), alpha=0.05)).__name__
      'Standardized'
    """
    if not 0 < alpha < 0.5:
        raise UserError(f'config.model.alpha={alpha}: must lie between 0 and 0.5')
    return Standardized(spec) if spec.interval is None else Logit(spec.interval[1], alpha)
