"""Coupling layers: some numbers stay, and say how each of the others is moved.

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
from models.flows.bijectors import Events, LogDet

Shape = tuple[int, ...]
Mask = Callable[[Shape], Bool[np.ndarray, '*event']]


class Elementwise(NamedTuple):
    """A bijection of single numbers, increasing, with `size` parameters each; zeros: the identity.

    forward and inverse: (numbers [*n], parameters [*n, size]) -> (what becomes of them [*n],
    log of the slope [*n]).
    """

    size: int
    forward: Callable
    inverse: Callable


def affine(bound: float) -> Elementwise:
    """x exp(s) + t, with |s| below `bound`: section 3.2, whose tanh keeps scales from running away.

    Kingma and Dhariwal (2018) bound the scale from above by a sigmoid instead.
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
    """A rational-quadratic spline of so many bins on [-bound, bound], the identity outside."""
    above_zero('model.tail_bound', bound)
    if not 2 <= bins <= 500:
        raise UserError(f'config.model.bins={bins}: there are 2 to 500')
    knots = functools.partial(rational_quadratic_spline.knots_of, bins=bins, bound=bound)
    return Elementwise(
        rational_quadratic_spline.num_parameters(bins),
        lambda x, parameters: rational_quadratic_spline.forward(x, knots(parameters)),
        lambda y, parameters: rational_quadratic_spline.inverse(y, knots(parameters)),
    )


def checkerboard(shape: Shape) -> Bool[np.ndarray, '*event']:
    """Every other place of an image [height, width, channels], every other number of a vector."""
    space = shape[:-1] or shape
    is_even = sum(np.indices(space)) % 2 == 0
    return np.broadcast_to(is_even.reshape(*space, *[1] * (len(shape) - len(space))), shape)


def half_of_channels(shape: Shape) -> Bool[np.ndarray, '*event']:
    """The first half of the last axis, rounded up."""
    return np.broadcast_to(np.arange(shape[-1]) < -(-shape[-1] // 2), shape)


def others(mask: Mask) -> Mask:
    """What `mask` leaves out."""
    return lambda shape: ~mask(shape)


class Coupling(nn.Module):
    """Moves the numbers that a mask leaves out, by what a network makes of the others.

    Attributes:
      mask: (shape of an event) -> true where a number stays.
      network: (shape of its output) -> a network of events, [batch, *event] -> [batch, *output].
      elementwise: how numbers are moved.
    """

    mask: Mask
    network: Callable[[Shape], nn.Module]
    elementwise: Elementwise

    def forward_and_log_det(self, x: Events) -> tuple[Events, LogDet]:
        """Equations 7 to 9 of the paper."""
        return self._moved(x, self.elementwise.forward)

    def inverse_and_log_det(self, z: Events) -> tuple[Events, LogDet]:
        """As quick as forward: the network sees what has not moved."""
        return self._moved(z, self.elementwise.inverse)

    @nn.compact
    def _moved(self, x: Events, move: Callable) -> tuple[Events, LogDet]:
        event = x.shape[1:]
        stays = jnp.asarray(self.mask(event))[None]
        told = self.network((*event, self.elementwise.size))(jnp.where(stays, x, 0.0))
        moved, log_slope = move(x, told)
        log_det = jnp.sum(jnp.where(stays, 0.0, log_slope).reshape(len(x), -1), -1)
        return jnp.where(stays, x, moved), log_det
