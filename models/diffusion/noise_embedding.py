"""The half log-SNR embedding of noise-conditioned networks, and a noise-conditioned MLP."""

import functools
import math

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from atelier.errors import MAX_UNROLLED, UserError, at_least, check_sizes
from models.nets.conditioning import Given, embedded

CONDITION = 128  # width of the MLP's condition vector
LEVEL_WAVELENGTHS = 40.0, 0.1  # longest and shortest, for the half log-SNR in -10 to 10
POINT_WAVELENGTHS = 4.0, 0.2  # for x, of a standard deviation about 1


def waves(
    values: Float[Array, '*values'], num_waves: int, ends: tuple[float, float]
) -> Float[Array, '*values waves']:
    """Returns `num_waves` sines and cosines of each value, with geometrically spaced wavelengths.

    Vaswani et al. (2017), section 3.5, use them for positions. Tancik et al. (2020), equation 5,
    use them for coordinates, so that a network learns high frequencies; here the frequencies are
    geometric.
    """
    longest, shortest = ends
    lengths = longest * (shortest / longest) ** jnp.linspace(0.0, 1.0, num_waves // 2)
    angles = 2 * math.pi * values[..., None] / lengths
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], -1)


def condition_vector(
    half_log_snr: Float[Array, 'batch'],
    label: Given | None,
    dims: int,
    num_classes: int,
) -> Float[Array, 'batch dims']:
    """Returns an embedding of the noise level, and of the label or features if there are some.

    Call this function inside a compact method. Class `num_classes` is the null label (Ho and
    Salimans 2022), and so is the last of `num_classes` + 1 features. Features are numbers, so that
    their embedding has a further layer.
    """
    vector = nn.Dense(dims)(waves(half_log_snr, dims, LEVEL_WAVELENGTHS))
    vector = nn.Dense(dims)(nn.silu(vector))
    if num_classes:
        of_label = embedded(nn.Embed(num_classes + 1, dims).embedding, label)
        vector += of_label if label.ndim == 1 else nn.Dense(dims)(nn.silu(of_label))
    return vector


def adaptive_norm(
    h: Float[Array, 'batch *units'],
    scale: Float[Array, 'batch *scale'],
    shift: Float[Array, 'batch *scale'],
) -> Float[Array, 'batch *units']:
    """Layer norm, times 1 + `scale`, plus `shift`: Peebles and Xie (2023), section 3.2.

    Scale and shift depend on the condition. Call this function inside a compact method; the layer
    norm has no parameters.
    """
    return nn.LayerNorm(use_scale=False, use_bias=False)(h) * (1 + scale) + shift


class ConditionedBlock(nn.Module):
    """h plus an MLP of its layer norm, scaled and shifted by the condition; initially the identity.

    It uses the adaptive norm of Peebles and Xie (2023), section 3.2, without their gate.

    Attributes:
      dtype: data type of the matrix products.
    """

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, h: Float[Array, 'batch units'], vector: Float[Array, 'batch dims']
    ) -> Float[Array, 'batch units']:
        """Returns [batch, units] in float32."""
        layer = functools.partial(nn.Dense, dtype=self.dtype)
        scale_and_shift = layer(2 * h.shape[-1])(nn.silu(vector)).astype(jnp.float32)
        scale, shift = jnp.split(scale_and_shift, 2, -1)
        inner = nn.silu(layer(h.shape[-1])(adaptive_norm(h, scale, shift)))
        zeros = nn.initializers.zeros
        return h + layer(h.shape[-1], kernel_init=zeros)(inner).astype(jnp.float32)


class ConditionedMLP(nn.Module):
    """Residual blocks conditioned on the noise level: for points, tables and small events.

    Attributes:
      width: units of each block.
      blocks: number of blocks.
      num_classes: number of classes of the label, or of features; 0 without a condition. Class
        `num_classes`, or a last feature, is the null label, which stands for any condition.
      num_waves: number of sines and cosines of each dimension of x, as additional inputs.
      dtype: data type of the products; parameters, sums and outputs are float32.
    """

    width: int
    blocks: int
    num_classes: int = 0
    num_waves: int = 0
    dtype: DTypeLike = jnp.float32

    def __post_init__(self):
        """Refuses invalid sizes."""
        super().__post_init__()
        check_sizes(self, 'width')
        at_least(1, 'model.mlp_blocks', self.blocks, most=MAX_UNROLLED)
        if self.num_waves < 0 or self.num_waves % 2:
            raise UserError(f'config.model.num_waves={self.num_waves}: give an even number, or 0')

    @nn.compact
    def __call__(
        self,
        x: Float[Array, 'batch *event'],
        half_log_snr: Float[Array, 'batch'],
        label: Given | None = None,
    ) -> Float[Array, 'batch *event']:
        """Returns [batch, *event] in float32; at initialization the output is 0 for any x."""
        vector = condition_vector(half_log_snr, label, CONDITION, self.num_classes)
        flat = x.reshape(len(x), -1)
        features = waves(flat, self.num_waves, POINT_WAVELENGTHS).reshape(len(x), -1)
        layer = functools.partial(nn.Dense, dtype=self.dtype)
        h = layer(self.width)(jnp.concatenate([flat, features], -1)).astype(jnp.float32)
        for _ in range(self.blocks):
            h = ConditionedBlock(self.dtype)(h, vector)
        last = layer(flat.shape[-1], kernel_init=nn.initializers.zeros)
        return last(nn.LayerNorm()(h)).reshape(x.shape).astype(jnp.float32)
