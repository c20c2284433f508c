"""Super-resolution by regression: convolutions predict the mean of x given low-resolution x."""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from atelier.core import game
from atelier.core.abilities import SuperResolve
from atelier.core.family import Family
from atelier.core.types import Weights
from atelier.data.dataset import Spec
from atelier.data.low_resolution import enlarged, reduced
from losses.reconstruction import half_squared_error
from models.nets.conv import Conv


class Residual(nn.Module):
    """Bicubic enlargement plus a convolutional residual (Kim et al. 2016, VDSR).

    Attributes:
      factor: factor by which the sides of the low-resolution image are shorter.
      channels: output channels of each convolution but the last.
      kernel_size: length of every convolution's kernel along each axis.
      activation: applied after every convolution but the last.
      form: form of the convolutions, as in `models.nets.conv`.
      dtype: data type of the convolutions; parameters and outputs are float32.
    """

    factor: int
    channels: tuple[int, ...]
    kernel_size: int = 3
    activation: Callable = nn.relu
    form: str = 'auto'
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, low: Float[Array, 'batch *low']) -> Float[Array, 'batch *event']:
        """Returns the enlarged image, which at initialization is the bicubic enlargement."""
        window, options = (self.kernel_size,) * 2, dict(form=self.form, dtype=self.dtype)
        base = enlarged(low, self.factor)
        x = maps = base.reshape(*base.shape[:3], -1)
        for features in self.channels:
            x = self.activation(Conv(features, window, **options)(x))
        x = Conv(maps.shape[-1], window, **options, kernel_init=nn.initializers.zeros)(x)
        return base + x.reshape(base.shape)


class RegressorParts(NamedTuple):
    """The components of a regressor.

    network: low-resolution images [batch, *low] -> images [batch, *event], both normalized.
    spec: spec of the data.
    factor: factor by which the sides of the low-resolution image are shorter.
    """

    network: nn.Module
    spec: Spec
    factor: int


def regressor(parts: RegressorParts) -> Family:
    """The regressor as a game of one player, `model`.

    The loss is 1/2 ||x - mean||^2 of normalized x.
    """
    spec = parts.spec

    def mean(params, low):
        return parts.network.apply({'params': params['model']}, spec.normalize(low))

    def terms_of(params, batch):
        output = mean(params, reduced(batch['x'], parts.factor))
        return {'squared_error': half_squared_error(spec.normalize(batch['x']), output)}

    def loss(weights, batch, rng, step, hypers):
        del rng, step, hypers
        terms = terms_of(weights.params, batch)
        return {'model': jnp.mean(terms['squared_error'])}, (weights.extra, terms)

    def init(key, batch):
        low = reduced(batch['x'][:1], parts.factor)
        params = parts.network.init(key, spec.normalize(low))['params']
        return Weights({'model': params}, {'model': {}})

    def enlarge(weights, batch, rng):
        del rng
        x = spec.denormalize(mean(weights.params, batch['low']))
        return x if spec.interval is None else jnp.clip(x, *spec.interval)

    return Family(
        init=init,
        turns=(game.Turn(('model',), loss),),
        metrics=lambda weights, batch, rng: terms_of(weights.params, batch),
        abilities=(SuperResolve(enlarge, parts.factor),),
    )
