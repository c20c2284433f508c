"""MADE (Germain et al. 2015): a network whose masks let each output depend on earlier inputs only.

Without hidden layers it is the fully visible sigmoid belief network (Frey 1998): a logistic
regression of each dimension on those before it.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int, UInt32

from atelier.core.types import Batch, Weights
from atelier.data.dataset import Spec
from atelier.errors import UserError, at_least
from models.autoregressive.autoregressive import AutoregressiveParts
from models.shared.observations import Observation

Degrees = tuple[Int[Array, '_'], ...]


class MaskedDense(nn.Module):
    """A dense layer in which a mask keeps only some of the connections.

    Attributes:
      features: units of the output.
      use_bias: whether there is a bias.
      dtype: data type of the product; parameters and output are float32.
      kernel_init: initializer of the kernel.
    """

    features: int
    use_bias: bool = True
    dtype: DTypeLike = jnp.float32
    kernel_init: Callable = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(
        self, x: Float[Array, 'batch units'], mask: Bool[Array, 'units features']
    ) -> Float[Array, 'batch features']:
        """Returns x (W * mask) + b."""
        shape = (x.shape[-1], self.features)
        kernel = self.param('kernel', self.kernel_init, shape, jnp.float32)
        kernel = jnp.where(mask, kernel, 0.0).astype(self.dtype)
        y = (x.astype(self.dtype) @ kernel).astype(jnp.float32)
        if not self.use_bias:
            return y
        return y + self.param('bias', nn.initializers.zeros, (self.features,), jnp.float32)


class MADE(nn.Module):
    """Masked layers, and a direct connection from inputs to outputs: section 4 of the paper.

    A condition has no masks: it reaches all units of the first hidden layer and all outputs. The
    first output depends on no input and so on no hidden unit, hence the condition has a hidden
    layer of its own before the outputs.

    Attributes:
      hidden_sizes: units of the hidden layers; () leaves only the direct connection.
      size: outputs per input dimension.
      activation: applied after every hidden layer.
      dtype: data type of the products.
      last_kernel_init: initializer of the kernels of the last layer and the direct connection.
      is_direct: whether there is a direct connection. Its weights grow with the square of dims.
    """

    hidden_sizes: tuple[int, ...]
    size: int
    activation: Callable = nn.relu
    dtype: DTypeLike = jnp.float32
    last_kernel_init: Callable = nn.initializers.lecun_normal()
    is_direct: bool = True

    def __post_init__(self):
        """Rejects a network without any connection.

        Raises:
          UserError: there is neither a hidden layer nor a direct connection.
        """
        super().__post_init__()
        if not self.hidden_sizes and not self.is_direct:
            raise UserError(
                'config.model.is_direct=False needs config.model.hidden_sizes, or nothing connects '
                'the inputs to the outputs'
            )

    @nn.compact
    def __call__(
        self,
        x: Float[Array, 'batch dims'],
        degrees: Degrees,
        condition: Float[Array, 'batch features'] | None = None,
    ) -> Float[Array, 'batch dims size']:
        """Returns [batch, dims, size] in float32.

        Args:
          x: [batch, dims].
          degrees: one vector per layer. The first holds the position of each input in the order;
            the others, the last position that each hidden unit depends on.
          condition: features that all outputs may depend on; None: there are none.
        """
        positions, num_outputs = degrees[0], self.size * x.shape[-1]
        # an output depends only on the inputs before its own position
        output_positions = jnp.repeat(positions, self.size)
        to_outputs = functools.partial(
            MaskedDense, num_outputs, dtype=self.dtype, kernel_init=self.last_kernel_init
        )
        outputs, h = 0.0, x
        if self.is_direct:
            outputs = to_outputs(name='direct')(x, positions[:, None] < output_positions[None])
        for i, (before, after) in enumerate(zip(degrees, degrees[1:], strict=False)):
            layer = MaskedDense(len(after), dtype=self.dtype)
            h = layer(h, before[:, None] <= after[None])
            if condition is not None and i == 0:
                h += self._of_condition(condition, len(after), 'to_hidden')
            h = self.activation(h)
        if self.hidden_sizes:
            last = to_outputs(use_bias=not self.is_direct, name='last')
            outputs += last(h, degrees[-1][:, None] < output_positions[None])
        if condition is not None:
            outputs += self._outputs_of_condition(condition, num_outputs)
        return outputs.reshape(*x.shape, self.size)

    def _outputs_of_condition(
        self, condition: Float[Array, 'batch features'], num_outputs: int
    ) -> Float[Array, 'batch outputs']:
        if self.hidden_sizes:
            hidden = self._of_condition(condition, self.hidden_sizes[0], 'hidden', use_bias=True)
            condition = self.activation(hidden)
        options = dict(kernel_init=self.last_kernel_init)
        return self._of_condition(condition, num_outputs, 'to_outputs', **options)

    def _of_condition(
        self, condition: Float[Array, 'batch units'], features: int, name: str, **options
    ) -> Float[Array, 'batch features']:
        options = {'use_bias': False, 'dtype': self.dtype, **options}
        return nn.Dense(features, name=f'condition_{name}', **options)(condition).astype(
            jnp.float32
        )


class Orders(NamedTuple):
    """The number of orders, each with its masks, and whether they are all the raster order."""

    count: int
    are_raster: bool


def degrees_of(
    key: UInt32[Array, '2'], dims: int, hidden_sizes: tuple[int, ...], orders: Orders
) -> dict[str, Int[Array, 'orders _']]:
    """Draws the degrees of each layer ('0', '1', ...) in each order: equation 12 and section 4.2.

    A hidden unit's degree is at least the smallest degree of the layer before, so that every unit
    has a connection.
    """

    def of_order(key):
        key_for = lambda layer: jax.random.fold_in(key, layer)
        positions = jnp.arange(dims)
        positions = (
            positions if orders.are_raster else jax.random.permutation(key_for(0), positions)
        )
        degrees, lowest = [positions], 0
        for layer, size in enumerate(hidden_sizes, 1):
            drawn = jax.random.randint(key_for(layer), (size,), lowest, max(dims - 1, 1))
            degrees.append(drawn)
            lowest = drawn.min()
        return {str(layer): drawn.astype(jnp.int32) for layer, drawn in enumerate(degrees)}

    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, jnp.arange(orders.count))
    return jax.vmap(of_order)(keys)


def made_parts(
    network: MADE, orders: Orders, observation: Observation, spec: Spec
) -> AutoregressiveParts:
    """Returns MADE's parts for `autoregressive`; `extra` holds the degrees, drawn at random."""
    at_least(1, 'model.num_orders', orders.count)

    def apply(params, degrees, x):
        flat = spec.normalize(x).reshape(len(x), -1)
        outputs = network.apply({'params': params}, flat, degrees)
        return outputs.reshape(*x.shape, observation.size)

    def degrees_in(extra, order_index) -> Degrees:
        layers = extra['model']['degrees']
        return tuple(layers[str(layer)][order_index] for layer in range(len(layers)))

    def init(key, batch: Batch):
        x = batch['x'][:1]
        degrees = degrees_of(
            jax.random.fold_in(key, 0), spec.num_dims, network.hidden_sizes, orders
        )
        extra = {'model': {'degrees': degrees}}
        flat = x.reshape(1, -1)
        variables = network.init(jax.random.fold_in(key, 1), flat, degrees_in(extra, 0))
        return Weights({'model': variables['params']}, extra)

    return AutoregressiveParts(
        init=init,
        parameters=lambda weights, batch, order_index: apply(
            weights.params['model'], degrees_in(weights.extra, order_index), batch['x']
        ),
        positions=lambda extra: extra['model']['degrees']['0'],
        observation=observation,
        spec=spec,
        num_orders=orders.count,
    )
