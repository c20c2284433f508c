"""Masked autoregressive flow (Papamakarios et al. 2017), and with it the inverse one.

Each number is moved as those before it say. Where all of them are known that is one pass of a
masked network; where they have yet to be found it is one pass a number. MAF is quick from the data
to the latent, so that log p(x) is one pass. IAF (Kingma et al. 2016) is `Inverted` of the same
layer: its samples are one pass, and log p(x) of what it did not draw itself is one a number.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from models.autoregressive.made import MADE, Orders, degrees_of
from models.flows.bijectors import FIXED, LogDet
from models.flows.couplings import Elementwise

Vectors = Float[Array, 'batch dims']


class MaskedAutoregressive(nn.Module):
    """z_i = what `elementwise` makes of x_i, with parameters that follow from x_1, ..., x_(i-1).

    Attributes:
      network: whose output is `elementwise.size` numbers for each of x.
      elementwise: how numbers are moved.
    """

    network: MADE
    elementwise: Elementwise

    def forward_and_log_det(self, x: Vectors) -> tuple[Vectors, LogDet]:
        """One pass: equation 4 of the paper, whose Jacobian is triangular."""
        told = self.network(x, self._degrees(x.shape[1]))
        z, log_slope = self.elementwise.forward(x, told)
        return z, jnp.sum(log_slope, -1)

    def inverse_and_log_det(self, z: Vectors) -> tuple[Vectors, LogDet]:
        """One pass a number: equation 3."""
        degrees = self._degrees(z.shape[1])
        self.network(z, degrees)  # which makes its weights, where there are none yet
        network, variables = self.network.unbind()

        def step(carry, place):
            x, total = carry
            told = network.apply(variables, x, degrees)[:, place]
            value, log_slope = self.elementwise.inverse(z[:, place], told)
            return (x.at[:, place].set(value), total + log_slope), None

        start = jnp.zeros_like(z), jnp.zeros(len(z), z.dtype)
        carry, _ = jax.lax.scan(step, start, jnp.arange(z.shape[1]))
        return carry

    @nn.compact
    def _degrees(self, dims: int) -> tuple[Int[Array, '_'], ...]:
        """Of the masks, drawn once, in the order of x."""

        def draw():
            key = self.make_rng('params')
            found = degrees_of(key, dims, self.network.hidden_sizes, Orders(1, True))
            return {layer: degrees[0] for layer, degrees in found.items()}

        found = self.variable(FIXED, 'degrees', draw).value
        return tuple(found[str(layer)] for layer in range(len(found)))
