"""The half log-SNR as a vector, for networks that know how noisy x is, and an MLP of that kind."""

import functools
import math
from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

LONGEST, SHORTEST = 40.0, 0.1  # wavelengths, in units of the half log-SNR, which is -10 to 10


def waves(half_log_snr: Float[Array, 'batch'], numbers: int) -> Float[Array, 'batch numbers']:
    """Sines and cosines of it, of geometric wavelengths: Vaswani et al. (2017), section 3.5."""
    steps = jnp.linspace(0.0, 1.0, numbers // 2)
    lengths = LONGEST * (SHORTEST / LONGEST) ** steps
    angles = 2 * math.pi * half_log_snr[:, None] / lengths
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], -1)


def condition_vector(
    half_log_snr: Float[Array, 'batch'],
    label: Int[Array, 'batch'] | None,
    numbers: int,
    num_classes: int,
) -> Float[Array, 'batch numbers']:
    """The noise level, and where there are classes the label, for a network to see.

    Call it inside of a compact method. Class `num_classes` stands for any (Ho and Salimans 2022).
    """
    vector = nn.Dense(numbers)(waves(half_log_snr, numbers))
    vector = nn.Dense(numbers)(nn.silu(vector))
    if num_classes:
        vector += nn.Embed(num_classes + 1, numbers)(label)
    return vector


class ConditionedMLP(nn.Module):
    """Dense layers that each see how noisy x is: for points, tables and small events.

    Attributes:
      hidden_sizes: units of the hidden layers.
      num_classes: of the label; 0: there is none. Class `num_classes` stands for any.
      activation: after every hidden layer.
      dtype: of the products; parameters and outputs are float32.
    """

    hidden_sizes: tuple[int, ...]
    num_classes: int = 0
    activation: Callable = nn.silu
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, 'batch *event'],
        half_log_snr: Float[Array, 'batch'],
        label: Int[Array, 'batch'] | None = None,
    ) -> Float[Array, 'batch *event']:
        """Returns x's shape in float32; at the start 0, whatever x is."""
        layer = functools.partial(nn.Dense, dtype=self.dtype)
        vector = condition_vector(half_log_snr, label, self.hidden_sizes[0], self.num_classes)
        h = x.reshape(len(x), -1)
        for size in self.hidden_sizes:
            h = self.activation(layer(size)(h) + layer(size, use_bias=False)(nn.silu(vector)))
        output = layer(math.prod(x.shape[1:]), kernel_init=nn.initializers.zeros)(h)
        return output.reshape(x.shape).astype(jnp.float32)
