"""Conditioners: networks that compute a coupling's parameters, with a zero-initialized last layer.

A coupling with one of these networks starts as the identity. Of a conditional flow, the networks
also take the features of the condition.
"""

import functools
import math
from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from atelier.errors import MAX_UNROLLED, at_least
from models.flows.bijectors import Events, Features, given
from models.nets.conv import Conv
from models.nets.mlp import MLP

Shape = tuple[int, ...]
Outputs = Float[Array, 'batch *output']


def convolutions(channels: int, blocks: int, **options) -> Callable[[Shape], nn.Module]:
    """Returns (shape of an output) -> `ResidualConvolutions` with outputs of this shape.

    Raises:
      UserError: a size is out of range.
    """
    at_least(1, 'model.channels', channels)
    at_least(0, 'model.blocks', blocks, most=MAX_UNROLLED)
    return functools.partial(ResidualConvolutions, channels=channels, blocks=blocks, **options)


class Perceptron(nn.Module):
    """An MLP for events of any shape.

    The biases of its first layer are random. If all were zero, a piecewise-linear network of one
    input would have its only kink at zero.

    Attributes:
      output_shape: shape of one output.
      hidden_sizes: units of the hidden layers, at least one.
      activation: applied after every hidden layer.
      dtype: data type of the matrix products; parameters and output are float32.
    """

    output_shape: tuple[int, ...]
    hidden_sizes: tuple[int, ...]
    activation: Callable = nn.relu
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Events, condition: Features = None) -> Outputs:
        """Returns [batch, *output_shape] for x, followed by the condition if there is one."""
        first, *rest = self.hidden_sizes
        inputs = jnp.concatenate([x.reshape(len(x), -1), *given(condition)], -1)
        layer = functools.partial(nn.Dense, dtype=self.dtype)
        h = layer(first, bias_init=nn.initializers.normal(1.0))(inputs)
        if rest:
            h = MLP(tuple(rest[:-1]), (rest[-1],), self.activation, self.dtype)(self.activation(h))
        zeros = nn.initializers.zeros
        outputs = layer(math.prod(self.output_shape), kernel_init=zeros)(self.activation(h))
        return outputs.astype(jnp.float32).reshape(len(x), *self.output_shape)


class ResidualConvolutions(nn.Module):
    """3 x 3 convolutions, with residual blocks between the first and the last.

    A condition adds a bias, linear in its features, to the channels of the first and of each inner
    convolution.

    Attributes:
      output_shape: [height, width, ...] of one output; height and width are those of x.
      channels: channels of the hidden layers.
      blocks: number of residual blocks, each with a 3 x 3 and a 1 x 1 convolution.
      activation: applied before every convolution but the first.
      form: form of the convolutions, as in `models.nets.conv`.
      dtype: data type of the convolutions; parameters and output are float32.
    """

    output_shape: tuple[int, ...]
    channels: int
    blocks: int = 1
    activation: Callable = nn.relu
    form: str = 'auto'
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Events, condition: Features = None) -> Outputs:
        """Returns [batch, *output_shape]; x is [batch, height, width, channels]."""
        conv = functools.partial(Conv, form=self.form, dtype=self.dtype)
        h = self._biased(conv(self.channels, (3, 3))(x), condition)
        for _ in range(self.blocks):
            inner = self._biased(conv(self.channels, (3, 3))(self.activation(h)), condition)
            h += conv(self.channels, (1, 1))(self.activation(inner))
        size = math.prod(self.output_shape[2:])
        outputs = conv(size, (3, 3), kernel_init=nn.initializers.zeros)(self.activation(h))
        return outputs.reshape(len(x), *self.output_shape)

    def _biased(self, h: Events, condition: Features) -> Events:
        if condition is None:
            return h
        bias = nn.Dense(self.channels, use_bias=False, dtype=self.dtype)(condition)
        return h + bias[:, None, None].astype(h.dtype)
