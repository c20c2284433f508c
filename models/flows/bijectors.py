"""Bijectors: invertible maps of events that say by how much they stretch space.

Each is a Linen module with a pair of methods:

    forward_and_log_det: x [batch, *event] -> (z [batch, *made], log |det dz/dx| [batch]), in nats
    inverse_and_log_det: z -> (x, log |det dx/dz|)

*Forward* leads from the data to the latent, so that log p(x) = log p(z) + log_det with one call; to
sample is the inverse. A chain is initialized by its forward direction: a layer whose start depends
on data sees them as the layers before it leave them. What is drawn once and never trained, such as
a permutation, lies in the collection `fixed`.
"""

import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from atelier.errors import at_least
from models.nets.patches import from_patches, to_patches

FIXED = 'fixed'
Events = Float[Array, 'batch *event']
Made = Float[Array, 'batch *made']  # events of another shape
LogDet = Float[Array, 'batch']


class Chain(nn.Module):
    """One after the other, the first next to the data.

    Attributes:
      layers: bijectors.
    """

    layers: tuple[nn.Module, ...]

    def forward_and_log_det(self, x: Events) -> tuple[Made, LogDet]:
        """Through all layers, and the sum of what they say."""
        total = jnp.zeros(len(x), x.dtype)
        for layer in self.layers:
            x, log_det = layer.forward_and_log_det(x)
            total += log_det
        return x, total

    def inverse_and_log_det(self, z: Events) -> tuple[Made, LogDet]:
        """Back, the last layer first."""
        total = jnp.zeros(len(z), z.dtype)
        for layer in self.layers[::-1]:
            z, log_det = layer.inverse_and_log_det(z)
            total += log_det
        return z, total


class Inverted(nn.Module):
    """A bijector the other way round.

    Attributes:
      layer: whose inverse is this one's forward direction.
    """

    layer: nn.Module

    def forward_and_log_det(self, x: Events) -> tuple[Made, LogDet]:
        """The layer's inverse."""
        return self.layer.inverse_and_log_det(x)

    def inverse_and_log_det(self, z: Events) -> tuple[Made, LogDet]:
        """The layer's forward direction."""
        return self.layer.forward_and_log_det(z)


class _Carried(nn.Module):
    """A bijector as `nn.scan` takes it: (x, what was said so far) is carried."""

    make: Callable[[], nn.Module]

    def setup(self):
        """Makes the bijector."""
        self.layer = self.make()

    def forward(self, carry, _) -> tuple[Any, None]:
        x, total = carry
        x, log_det = self.layer.forward_and_log_det(x)
        return (x, total + log_det), None

    def inverse(self, carry, _) -> tuple[Any, None]:
        z, total = carry
        z, log_det = self.layer.inverse_and_log_det(z)
        return (z, total + log_det), None


class Repeated(nn.Module):
    """`count` bijectors of one kind, each with weights of its own, compiled as one.

    Attributes:
      make: () -> a bijector that keeps the shape of an event.
      count: how many.
    """

    make: Callable[[], nn.Module]
    count: int

    def __post_init__(self):
        """Refuses to repeat nothing."""
        super().__post_init__()
        at_least(1, 'model.steps', self.count)

    def setup(self):
        """Makes them under one scan."""
        own = dict(
            variable_axes={'params': 0, FIXED: 0}, split_rngs={'params': True}, length=self.count
        )
        both = {'forward': own, 'inverse': {**own, 'reverse': True}}
        self.steps = nn.scan(_Carried, methods=both)(self.make)

    def forward_and_log_det(self, x: Events) -> tuple[Events, LogDet]:
        """Through all of them."""
        carry, _ = self.steps.forward((x, jnp.zeros(len(x), x.dtype)), None)
        return carry

    def inverse_and_log_det(self, z: Events) -> tuple[Events, LogDet]:
        """Back, the last one first."""
        carry, _ = self.steps.inverse((z, jnp.zeros(len(z), z.dtype)), None)
        return carry


class Reversed(nn.Module):
    """The numbers of a vector from the last to the first; its own inverse."""

    def forward_and_log_det(self, x: Events) -> tuple[Events, LogDet]:
        """Volumes stay."""
        return x[..., ::-1], jnp.zeros(len(x), x.dtype)

    def inverse_and_log_det(self, z: Events) -> tuple[Events, LogDet]:
        """The same."""
        return self.forward_and_log_det(z)


class Reshaped(nn.Module):
    """The same numbers in another shape.

    Attributes:
      before: shape of an event of the data's side.
      after: of the latent's side.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]

    def forward_and_log_det(self, x: Events) -> tuple[Made, LogDet]:
        """Volumes stay."""
        return x.reshape(len(x), *self.after), jnp.zeros(len(x), x.dtype)

    def inverse_and_log_det(self, z: Events) -> tuple[Made, LogDet]:
        """Back."""
        return z.reshape(len(z), *self.before), jnp.zeros(len(z), z.dtype)


class Squeezed(nn.Module):
    """Squares of 2 x 2 places become channels: Dinh et al. (2017), section 3.6.

    [height, width, channels] -> [height / 2, width / 2, 4 channels], of even height and width.
    """

    def forward_and_log_det(self, x: Events) -> tuple[Made, LogDet]:
        """Raises ValueError where a side is odd: what was filled up would be no bijection."""
        if any(length % 2 for length in x.shape[1:-1]):
            raise ValueError(f'{x.shape[1:-1]}: sides have to be even')
        return to_patches(x, 2), jnp.zeros(len(x), x.dtype)

    def inverse_and_log_det(self, z: Events) -> tuple[Made, LogDet]:
        """Back."""
        space = tuple(2 * length for length in z.shape[1:-1])
        return from_patches(z, space, 2), jnp.zeros(len(z), z.dtype)


class FactoredOut(nn.Module):
    """Half of the channels are latent already, the rest goes on: Dinh et al. (2017), section 3.6.

    Attributes:
      shape: [height, width, channels] of an event, of at least two channels.
      rest: a bijector of the first half of the channels, rounded down, to a vector. What is
        factored out stands behind that, so that a code begins with the coarsest scale.
    """

    shape: tuple[int, int, int]
    rest: nn.Module

    def forward_and_log_det(self, x: Events) -> tuple[Float[Array, 'batch dims'], LogDet]:
        """Of an event a vector."""
        kept, out = jnp.split(x, [self.shape[-1] // 2], -1)
        z, log_det = self.rest.forward_and_log_det(kept)
        return jnp.concatenate([z, out.reshape(len(x), -1)], -1), log_det

    def inverse_and_log_det(self, z: Float[Array, 'batch dims']) -> tuple[Made, LogDet]:
        """Back."""
        *space, channels = self.shape
        size = math.prod(space) * (channels // 2)
        kept, log_det = self.rest.inverse_and_log_det(z[:, :size])
        out = z[:, size:].reshape(len(z), *space, channels - channels // 2)
        return jnp.concatenate([kept, out], -1), log_det
