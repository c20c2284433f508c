"""Bijectors: invertible maps of events with their log-determinants.

Each bijector is a Linen module with a pair of methods:

    forward_and_log_det: x [batch, *event] -> (z [batch, *new_event], log |det dz/dx| [batch])
    inverse_and_log_det: z -> (x, log |det dx/dz|)

Both also take a condition, features [batch, features], which the networks of couplings and of
autoregressive layers read. Bijectors without a network accept and ignore it. With None, the flow
is unconditional, and has no weights for a condition.

Log-determinants are in nats. *Forward* maps the data to the latent, so that log p(x) = log p(z) +
log_det takes one call; sampling uses the inverse. A chain is initialized in its forward direction,
so that a layer with a data-dependent initialization reads the outputs of the layers before it.
Values that are drawn once and never trained, such as a permutation, are in the collection `fixed`.
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
NewEvents = Float[Array, 'batch *new_event']  # events of another shape
LogDet = Float[Array, 'batch']
Features = Float[Array, 'batch features'] | None  # of a condition; None: there is none


def given(condition: Features) -> tuple[Array, ...]:
    """Returns the arguments that a network takes besides x: the condition, if there is one."""
    return () if condition is None else (condition,)


class Chain(nn.Module):
    """Applies bijectors in order, the first one next to the data.

    Attributes:
      layers: bijectors.

    Example:
      >>> from models.flows.data_bijectors import Logit
      >>> chain = Chain((Logit(top=1.0, alpha=0.25), Reversed())).bind({})
      >>> z, log_det = chain.forward_and_log_det(jnp.asarray([[0.5, 1.0]]))
      >>> [round(v, 3) for v in z[0].tolist()], round(log_det.item(), 3)  # slopes 2, 8/3
      ([1.099, 0.0], 1.674)
      >>> print(chain.inverse_and_log_det(z)[0].round(1))
      [[0.5 1. ]]
    """

    layers: tuple[nn.Module, ...]

    def forward_and_log_det(
        self, x: Events, condition: Features = None
    ) -> tuple[NewEvents, LogDet]:
        """Applies all layers and sums their log-determinants."""
        total = jnp.zeros(len(x), x.dtype)
        for layer in self.layers:
            x, log_det = layer.forward_and_log_det(x, condition)
            total += log_det
        return x, total

    def inverse_and_log_det(
        self, z: Events, condition: Features = None
    ) -> tuple[NewEvents, LogDet]:
        """Inverts all layers, the last one first."""
        total = jnp.zeros(len(z), z.dtype)
        for layer in self.layers[::-1]:
            z, log_det = layer.inverse_and_log_det(z, condition)
            total += log_det
        return z, total


class Inverted(nn.Module):
    """A bijector with its directions exchanged.

    Attributes:
      layer: the bijector whose inverse is the forward direction of this one.

    Example:
      >>> from models.flows.data_bijectors import Logit
      >>> layer = Inverted(Logit(top=1.0, alpha=0.25)).bind({})
      >>> x, log_det = layer.forward_and_log_det(jnp.zeros((1, 1)))
      >>> x.item(), round(log_det.item(), 3), layer.inverse_and_log_det(x)[0].item()  # -log 2
      (0.5, -0.693, 0.0)
    """

    layer: nn.Module

    def forward_and_log_det(
        self, x: Events, condition: Features = None
    ) -> tuple[NewEvents, LogDet]:
        """Applies the layer's inverse."""
        return self.layer.inverse_and_log_det(x, condition)

    def inverse_and_log_det(
        self, z: Events, condition: Features = None
    ) -> tuple[NewEvents, LogDet]:
        """Applies the layer's forward direction."""
        return self.layer.forward_and_log_det(z, condition)


class _Carried(nn.Module):
    """A bijector for `nn.scan`, which carries (x, the log-determinant so far)."""

    make: Callable[[], nn.Module]

    def setup(self):
        """Creates the bijector."""
        self.layer = self.make()

    def forward(self, carry, condition: Features) -> tuple[Any, None]:
        x, total = carry
        x, log_det = self.layer.forward_and_log_det(x, condition)
        return (x, total + log_det), None

    def inverse(self, carry, condition: Features) -> tuple[Any, None]:
        z, total = carry
        z, log_det = self.layer.inverse_and_log_det(z, condition)
        return (z, total + log_det), None


class Repeated(nn.Module):
    """`count` bijectors of one kind, each with its own weights, compiled as one.

    Attributes:
      make: () -> a bijector that keeps the shape of an event.
      count: number of bijectors.

    Example:
      >>> from models.flows.actnorm import ActNorm
      >>> own = {'mean': jnp.asarray([[1.0], [2.0], [3.0]]), 'log_std': jnp.zeros((3, 1))}
      >>> layers = Repeated(ActNorm, count=3).bind({'params': {'steps': {'layer': own}}})
      >>> z, log_det = layers.forward_and_log_det(jnp.asarray([[10.0]]))  # 10 - 1 - 2 - 3
      >>> z.item(), log_det.item(), layers.inverse_and_log_det(z)[0].item()
      (4.0, 0.0, 10.0)
    """

    make: Callable[[], nn.Module]
    count: int

    def __post_init__(self):
        """Refuses a count below 1."""
        super().__post_init__()
        at_least(1, 'model.steps', self.count)

    def setup(self):
        """Creates the bijectors under one scan."""
        options = dict(
            variable_axes={'params': 0, FIXED: 0},
            split_rngs={'params': True},
            in_axes=nn.broadcast,
            length=self.count,
        )
        methods = {'forward': options, 'inverse': {**options, 'reverse': True}}
        self.steps = nn.scan(_Carried, methods=methods)(self.make)

    def forward_and_log_det(self, x: Events, condition: Features = None) -> tuple[Events, LogDet]:
        """Applies all bijectors in order."""
        carry, _ = self.steps.forward((x, jnp.zeros(len(x), x.dtype)), condition)
        return carry

    def inverse_and_log_det(self, z: Events, condition: Features = None) -> tuple[Events, LogDet]:
        """Inverts all bijectors, the last one first."""
        carry, _ = self.steps.inverse((z, jnp.zeros(len(z), z.dtype)), condition)
        return carry


class Reversed(nn.Module):
    """Reverses the order of a vector's dimensions; the bijector is its own inverse.

    Example:
      >>> layer = Reversed().bind({})
      >>> z, log_det = layer.forward_and_log_det(jnp.asarray([[1.0, 2.0, 3.0]]))
      >>> print(z, log_det, layer.inverse_and_log_det(z)[0])
      [[3. 2. 1.]] [0.] [[1. 2. 3.]]
    """

    def forward_and_log_det(self, x: Events, condition: Features = None) -> tuple[Events, LogDet]:
        """The log-determinant is 0."""
        return x[..., ::-1], jnp.zeros(len(x), x.dtype)

    def inverse_and_log_det(self, z: Events, condition: Features = None) -> tuple[Events, LogDet]:
        """The same as forward."""
        return self.forward_and_log_det(z)


class Reshaped(nn.Module):
    """Reshapes events.

    Attributes:
      before: event shape on the data's side.
      after: event shape on the latent's side.

    Example:
      >>> layer = Reshaped(before=(2, 2), after=(4,)).bind({})
      >>> z, log_det = layer.forward_and_log_det(jnp.ones((1, 2, 2)))
      >>> z.shape, log_det.item(), layer.inverse_and_log_det(z)[0].shape
      ((1, 4), 0.0, (1, 2, 2))
    """

    before: tuple[int, ...]
    after: tuple[int, ...]

    def forward_and_log_det(
        self, x: Events, condition: Features = None
    ) -> tuple[NewEvents, LogDet]:
        """The log-determinant is 0."""
        return x.reshape(len(x), *self.after), jnp.zeros(len(x), x.dtype)

    def inverse_and_log_det(
        self, z: Events, condition: Features = None
    ) -> tuple[NewEvents, LogDet]:
        """The inverse reshape."""
        return z.reshape(len(z), *self.before), jnp.zeros(len(z), z.dtype)


class Squeezed(nn.Module):
    """Moves squares of 2 x 2 pixels into channels: Dinh et al. (2017), section 3.6.

    [height, width, channels] -> [height / 2, width / 2, 4 channels]; height and width are even.

    Example:
      >>> layer = Squeezed().bind({})
      >>> z, log_det = layer.forward_and_log_det(jnp.arange(8.0).reshape(1, 2, 4, 1))
      >>> print(z[0, 0], log_det, layer.inverse_and_log_det(z)[0].shape)
      [[0. 1. 4. 5.]
       [2. 3. 6. 7.]] [0.] (1, 2, 4, 1)
    """

    def forward_and_log_det(
        self, x: Events, condition: Features = None
    ) -> tuple[NewEvents, LogDet]:
        """Moves squares of pixels into channels.

        Raises:
          ValueError: a side is odd; padding it would not be a bijection.
        """
        if any(length % 2 for length in x.shape[1:-1]):
            raise ValueError(f'an image of {x.shape[1:-1]} pixels: both sides have to be even')
        return to_patches(x, 2), jnp.zeros(len(x), x.dtype)

    def inverse_and_log_det(
        self, z: Events, condition: Features = None
    ) -> tuple[NewEvents, LogDet]:
        """Moves channels back into squares of pixels."""
        space = tuple(2 * length for length in z.shape[1:-1])
        return from_patches(z, space, 2), jnp.zeros(len(z), z.dtype)


class FactoredOut(nn.Module):
    """Factors out half of the channels as latent: Dinh et al. (2017), section 3.6.

    Attributes:
      shape: [height, width, channels] of an event with at least two channels.
      rest: a bijector from the first half of the channels, rounded down, to a vector. The other
        half follows this vector, so that a code starts with the coarsest scale.

    Example:
      >>> layer = FactoredOut((1, 2, 2), rest=Reshaped((1, 2, 1), (2,))).bind({})
      >>> z, log_det = layer.forward_and_log_det(jnp.asarray([[[[1.0, 2.0], [3.0, 4.0]]]]))
      >>> print(z, log_det, layer.inverse_and_log_det(z)[0].shape)
      [[1. 3. 2. 4.]] [0.] (1, 1, 2, 2)
    """

    shape: tuple[int, int, int]
    rest: nn.Module

    def forward_and_log_det(
        self, x: Events, condition: Features = None
    ) -> tuple[Float[Array, 'batch dims'], LogDet]:
        """Maps an event to a vector."""
        kept, out = jnp.split(x, [self.shape[-1] // 2], -1)
        z, log_det = self.rest.forward_and_log_det(kept, condition)
        return jnp.concatenate([z, out.reshape(len(x), -1)], -1), log_det

    def inverse_and_log_det(
        self, z: Float[Array, 'batch dims'], condition: Features = None
    ) -> tuple[NewEvents, LogDet]:
        """Maps a vector to an event."""
        *space, channels = self.shape
        size = math.prod(space) * (channels // 2)
        kept, log_det = self.rest.inverse_and_log_det(z[:, :size], condition)
        out = z[:, size:].reshape(len(z), *space, channels - channels // 2)
        return jnp.concatenate([kept, out], -1), log_det
