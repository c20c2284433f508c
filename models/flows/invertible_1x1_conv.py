"""The invertible 1x1 convolution: Kingma and Dhariwal (2018), Glow, section 3.2."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.scipy.linalg import lu, solve_triangular
from jaxtyping import Array, Float, Int, UInt32

from models.flows.bijectors import FIXED, Events, Features, LogDet

Matrix = Float[Array, 'channels channels']
Vector = Float[Array, 'channels']
EXACT = jax.lax.Precision.HIGHEST  # with coarsely rounded products the inverse would not return x


class InvertibleLinear(nn.Module):
    """W x for the channels (last axis) of each pixel, with W = P L (U + diag(s)): equation 10.

    W is initialized to a random rotation. The permutation P and the signs of s are not trained. L
    has ones and U has zeros on the diagonal, so that log |det W| is the sum of log |s|.

    Example:
      >>> zeros, log_s = jnp.zeros((2, 2)), jnp.log(jnp.asarray([2.0, 3.0]))
      >>> fixed = {'order': jnp.asarray([1, 0]), 'sign': jnp.ones(2)}  # the rows change places
      >>> weights = {'params': {'lower': zeros, 'upper': zeros, 'log_s': log_s}, FIXED: fixed}
      >>> layer = InvertibleLinear().bind(weights)
      >>> z, log_det = layer.forward_and_log_det(jnp.asarray([[3.0, 4.0]]))  # 3 * 4, 2 * 3; log 6
      >>> [round(v.item(), 3) for v in (*z[0], *log_det, *layer.inverse_and_log_det(z)[0][0])]
      [12.0, 6.0, 1.792, 3.0, 4.0]
    """

    def forward_and_log_det(self, x: Events, condition: Features = None) -> tuple[Events, LogDet]:
        """Returns W x."""
        order, lower, upper, log_s = self._factors(x.shape[-1])
        y = jnp.matmul(jnp.matmul(x, upper.T, precision=EXACT), lower.T, precision=EXACT)
        return y[..., order], _log_volume(x, log_s)

    def inverse_and_log_det(self, z: Events, condition: Features = None) -> tuple[Events, LogDet]:
        """Returns the solution of W x = z."""
        order, lower, upper, log_s = self._factors(z.shape[-1])
        columns = z[..., jnp.argsort(order)].reshape(-1, z.shape[-1]).T
        columns = solve_triangular(lower, columns, lower=True, unit_diagonal=True)
        columns = solve_triangular(upper, columns)
        return columns.T.reshape(z.shape), _log_volume(z, -log_s)

    @nn.compact
    def _factors(self, channels: int) -> tuple[Int[Array, 'channels'], Matrix, Matrix, Vector]:
        """Returns (the row order of P, L, U + diag(s), log |s|)."""
        if self.is_initializing():
            order, low, up = rotation_factors(self.make_rng('params'), channels)
        else:
            order, low, up = jnp.arange(channels), jnp.eye(channels), jnp.eye(channels)
        diagonal = jnp.diagonal(up)
        order = self.variable(FIXED, 'order', lambda: order).value
        sign = self.variable(FIXED, 'sign', lambda: jnp.sign(diagonal)).value
        lower = self.param('lower', lambda key: jnp.tril(low, -1))
        upper = self.param('upper', lambda key: jnp.triu(up, 1))
        log_s = self.param('log_s', lambda key: jnp.log(jnp.abs(diagonal)))
        lower = jnp.tril(lower, -1) + jnp.eye(channels)
        upper = jnp.triu(upper, 1) + jnp.diag(sign * jnp.exp(log_s))
        return order, lower, upper, log_s


def rotation_factors(
    key: UInt32[Array, '2'], channels: int
) -> tuple[Int[Array, 'channels'], Matrix, Matrix]:
    """Returns (order, L, U) of a random orthogonal matrix W = (L U)[order]."""
    rotation, _ = jnp.linalg.qr(jax.random.normal(key, (channels, channels)))
    permutation, lower, upper = lu(rotation)
    return jnp.argmax(permutation, 1), lower, upper


def _log_volume(x: Events, log_s: Vector) -> LogDet:
    num_pixels = math.prod(x.shape[1:-1])
    return jnp.full(len(x), num_pixels * log_s.sum(), x.dtype)
