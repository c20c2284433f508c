"""Coupling layers: some dimensions stay fixed and determine how each of the others is transformed.

Dinh et al. (2017), Density estimation using Real NVP, section 3; Durkan et al. (2019) for splines.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool

from atelier.errors import UserError, above_zero
from models.flows import rational_quadratic_spline
from models.flows.bijectors import Events, Features, LogDet, given

Shape = tuple[int, ...]
Mask = Callable[[Shape], Bool[np.ndarray, '*event']]


class Elementwise(NamedTuple):
    """An increasing scalar bijection with `size` parameters; zero parameters give the identity.

    forward and inverse: (values [*n], parameters [*n, size]) -> (transformed values [*n], log
    slopes [*n]).
    """

    size: int
    forward: Callable
    inverse: Callable


def affine(bound: float) -> Elementwise:
    """x exp(s) + t with |s| below `bound`: section 3.2, with a tanh so that scales do not diverge.

    Kingma and Dhariwal (2018) bound the scale from above by a sigmoid instead.

    Example:
      >>> x, parameters = jnp.asarray([5.0]), jnp.asarray([[0.0, 2.0]])  # scale e^0, shift 2
      >>> y, log_slope = affine(bound=1.0).forward(x, parameters)
      >>> y.item(), log_slope.item(), affine(bound=1.0).inverse(y, parameters)[0].item()
      (7.0, 0.0, 5.0)
    """
    above_zero('model.scale_bound', bound)

    def split(parameters):
        return bound * jnp.tanh(parameters[..., 0] / bound), parameters[..., 1]

    def forward(x, parameters):
        log_scale, shift = split(parameters)
        return x * jnp.exp(log_scale) + shift, log_scale

    def inverse(z, parameters):
        log_scale, shift = split(parameters)
        return (z - shift) * jnp.exp(-log_scale), -log_scale

    return Elementwise(2, forward, inverse)


def spline(bins: int, bound: float) -> Elementwise:
    """A rational-quadratic spline with `bins` bins on [-bound, bound], the identity outside.

    Example:
      >>> bijection, zeros = spline(bins=2, bound=3.0), jnp.zeros((1, 5))
      >>> y, log_slope = bijection.forward(jnp.ones(1), zeros)  # zeros give the identity
      >>> [round(abs(v.item()), 3) for v in (y, log_slope, bijection.inverse(y, zeros)[0])]
      [1.0, 0.0, 1.0]
    """
    above_zero('model.tail_bound', bound)
    if not 2 <= bins <= 500:
        raise UserError(f'config.model.bins={bins}: must be from 2 to 500')
    knots = functools.partial(rational_quadratic_spline.knots_of, bins=bins, bound=bound)
    return Elementwise(
        rational_quadratic_spline.num_parameters(bins),
        lambda x, parameters: rational_quadratic_spline.forward(x, knots(parameters)),
        lambda y, parameters: rational_quadratic_spline.inverse(y, knots(parameters)),
    )


def checkerboard(shape: Shape) -> Bool[np.ndarray, '*event']:
    """True at every other pixel of an image [height, width, channels], or dimension of a vector."""
    space = shape[:-1] or shape
    is_even = sum(np.indices(space)) % 2 == 0
    return np.broadcast_to(is_even.reshape(*space, *[1] * (len(shape) - len(space))), shape)


def half_of_channels(shape: Shape) -> Bool[np.ndarray, '*event']:
    """True for the first half of the last axis, rounded up."""
    return np.broadcast_to(np.arange(shape[-1]) < -(-shape[-1] // 2), shape)


def complement(mask: Mask) -> Mask:
    """Returns the complement of `mask`."""
    return lambda shape: ~mask(shape)


class Coupling(nn.Module):
    """Transforms the dimensions outside a mask, with parameters computed from those inside.

    Attributes:
      mask: (shape of an event) -> true where a dimension stays fixed.
      network: (shape of an output) -> a network of events, [batch, *event] -> [batch, *output],
        which also takes the condition, if there is one.
      elementwise: the scalar bijection of the dimensions outside the mask.

    Example:
      >>> network = lambda shape: lambda x: jnp.stack([jnp.full_like(x, 9.0), x[:, ::-1]], -1)
      >>> layer = Coupling(half_of_channels, network, affine(bound=1.0)).bind({})
      >>> z, log_det = layer.forward_and_log_det(jnp.asarray([[3.0, 2.0]]))  # 3, 2 e + 3; log e
      >>> [round(v.item(), 3) for v in (*z[0], *log_det, *layer.inverse_and_log_det(z)[0][0])]
      [3.0, 8.437, 1.0, 3.0, 2.0]
    """

    mask: Mask
    network: Callable[[Shape], nn.Module]
    elementwise: Elementwise

    def forward_and_log_det(self, x: Events, condition: Features = None) -> tuple[Events, LogDet]:
        """Computes equations 7 to 9 of the paper."""
        return self._transformed(x, condition, self.elementwise.forward)

    def inverse_and_log_det(self, z: Events, condition: Features = None) -> tuple[Events, LogDet]:
        """Is as fast as forward, because the network reads only the fixed dimensions."""
        return self._transformed(z, condition, self.elementwise.inverse)

    @nn.compact
    def _transformed(
        self, x: Events, condition: Features, transform: Callable
    ) -> tuple[Events, LogDet]:
        event = x.shape[1:]
        is_fixed = jnp.asarray(self.mask(event))[None]
        network = self.network((*event, self.elementwise.size))
        parameters = network(jnp.where(is_fixed, x, 0.0), *given(condition))
        y, log_slope = transform(x, parameters)
        log_det = jnp.sum(jnp.where(is_fixed, 0.0, log_slope).reshape(len(x), -1), -1)
        return jnp.where(is_fixed, x, y), log_det
