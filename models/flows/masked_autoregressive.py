"""Masked autoregressive flow (Papamakarios et al. 2017) and its inverse.

Each dimension is transformed with parameters computed from the dimensions before it. This takes one
pass of a masked network if these dimensions are known, and one pass per dimension if they are
computed one by one. MAF is fast from the data to the latent, so that log p(x) takes one pass. IAF
(Kingma et al. 2016) is `Inverted` of the same layer: sampling takes one pass, but log p(x) of an x
that IAF did not sample takes one pass per dimension.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from models.autoregressive.made import MADE, Orders, degrees_of
from models.flows.bijectors import FIXED, Features, LogDet, given
from models.flows.couplings import Elementwise

Vectors = Float[Array, 'batch dims']


class MaskedAutoregressive(nn.Module):
    """z_i = `elementwise`(x_i), whose parameters depend on x_1, ..., x_(i-1) and on the condition.

    Attributes:
      network: outputs `elementwise.size` parameters for each dimension of x.
      elementwise: the scalar bijection.

    Example:
      >>> from models.flows.couplings import affine
      >>> made = MADE((), 2, last_kernel_init=nn.initializers.ones)  # x_1 shifts and scales x_2
      >>> layer, x = MaskedAutoregressive(made, affine(bound=1.0)), jnp.asarray([[9.0, 2.0]])
      >>> layer = layer.bind(layer.init(jax.random.PRNGKey(0), x, method='forward_and_log_det'))
      >>> z, log_det = layer.forward_and_log_det(x)  # 9, 2 e + 9; log e
      >>> [round(v.item(), 3) for v in (*z[0], *log_det, *layer.inverse_and_log_det(z)[0][0])]
      [9.0, 14.437, 1.0, 9.0, 2.0]
    """

    network: MADE
    elementwise: Elementwise

    def forward_and_log_det(self, x: Vectors, condition: Features = None) -> tuple[Vectors, LogDet]:
        """Computes equation 4 of the paper, whose Jacobian is triangular, in one pass."""
        parameters = self.network(x, self._degrees(x.shape[1]), *given(condition))
        z, log_slope = self.elementwise.forward(x, parameters)
        return z, jnp.sum(log_slope, -1)

    def inverse_and_log_det(self, z: Vectors, condition: Features = None) -> tuple[Vectors, LogDet]:
        """Computes equation 3 of the paper in one pass per dimension."""
        degrees = self._degrees(z.shape[1])
        # creates the network's weights if there are none yet
        self.network(z, degrees, *given(condition))
        network, variables = self.network.unbind()

        def step(carry, dim):
            x, total = carry
            parameters = network.apply(variables, x, degrees, *given(condition))[:, dim]
            value, log_slope = self.elementwise.inverse(z[:, dim], parameters)
            return (x.at[:, dim].set(value), total + log_slope), None

        start = jnp.zeros_like(z), jnp.zeros(len(z), z.dtype)
        carry, _ = jax.lax.scan(step, start, jnp.arange(z.shape[1]))
        return carry

    @nn.compact
    def _degrees(self, dims: int) -> tuple[Int[Array, '_'], ...]:
        """Returns the degrees of the masks, drawn once; the inputs keep the order of x."""

        def draw():
            key = self.make_rng('params')
            degrees = degrees_of(key, dims, self.network.hidden_sizes, Orders(1, True))
            return {layer: of_orders[0] for layer, of_orders in degrees.items()}

        degrees = self.variable(FIXED, 'degrees', draw).value
        return tuple(degrees[str(layer)] for layer in range(len(degrees)))
