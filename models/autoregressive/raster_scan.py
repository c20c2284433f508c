"""Image networks for `autoregressive`, evaluated pixel by pixel in raster order."""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from atelier.core.types import Batch, Weights
from atelier.data.dataset import Spec
from models.autoregressive.autoregressive import AutoregressiveParts, Steps, natural_order
from models.autoregressive.causal_conv import Pixel
from models.nets.conditioning import Given, embedded, given_in
from models.shared.observations import Observation

Padded = Float[Array, 'batch rows columns channels']
Window = Float[Array, 'batch few_rows few_columns channels']


class PixelNetwork(NamedTuple):
    """A network over images that are zero-padded above, left and right.

    Its output at a pixel holds the parameters of the pixel's channels, one after the other.

    init: (key, padded, label) -> params; `label` [batch] is None if the model is unconditional.
    whole: (params, padded, label) -> [batch, height, width, channels * size].
    begin: (params, padded, label, width) -> the initial memory.
    step: (params, memory, padded, label, pixel) -> (memory, [batch, 1, 1, channels * size]); it
      reads only the pixels before `pixel`, and the pixel's earlier channels.
    margin: width of the padding.
    """

    init: Callable
    whole: Callable
    begin: Callable
    step: Callable
    margin: int


class ClassBias(nn.Module):
    """A learned bias per feature and class, the same at every pixel, initialized to 0.

    Attributes:
      num_classes: number of classes of the label, or of features; 0 for no bias.
      features: number of features of the maps.
    """

    num_classes: int
    features: int

    @nn.compact
    def __call__(self, label: Given | None) -> Float[Array, '...'] | float:
        """Returns [batch, 1, 1, features], or 0 without classes."""
        if not self.num_classes:
            return 0.0
        table = nn.Embed(self.num_classes, self.features, embedding_init=nn.initializers.zeros)
        return embedded(table.embedding, label)[:, None, None]


def raster_scan_parts(
    network: PixelNetwork,
    observation: Observation,
    spec: Spec,
    is_conditional: bool = False,
    is_one_hot: bool = False,
) -> AutoregressiveParts:
    """Returns the network's parts in raster order, the channels of a pixel one after the other.

    The network reads normalized x or, with `is_one_hot`, the indicators of the levels of x: this is
    for levels without an order, in images of one channel.
    """
    shape, size, margin = spec.image_shape, observation.size, network.margin
    check_one_hot(spec, is_one_hot)

    def padded(x):
        sides = ((0, 0), (margin, 0), (margin, margin), (0, 0))
        return jnp.pad(inputs(x).reshape(len(x), *shape[:2], -1), sides)

    def inputs(x):
        return jax.nn.one_hot(x.astype(jnp.int32), spec.levels) if is_one_hot else spec.normalize(x)

    def label_of(batch: Batch):
        return given_in(batch, spec) if is_conditional else None

    def init(key, batch: Batch):
        example = {name: array[:1] for name, array in batch.items()}
        params = network.init(key, padded(example['x']), label_of(example))
        return Weights({'model': params}, {'model': {}})

    def parameters(weights, batch: Batch, order_index):
        del order_index
        outputs = network.whole(weights.params['model'], padded(batch['x']), label_of(batch))
        return outputs.reshape(*batch['x'].shape, size)

    def begin(weights, given: Batch, order_index):
        del order_index
        zeros, label = jnp.zeros_like(padded(given['x'])), label_of(given)
        return zeros, label, network.begin(weights.params['model'], zeros, label, shape[1])

    def step(weights, memory, i, previous):
        (image, label, cache), (_, width, channels) = memory, shape
        value = jnp.where(i > 0, inputs(previous).reshape(len(previous), -1), 0.0)
        image = with_value(image, jnp.maximum(i - 1, 0), value)
        row, column, channel = row_column_channel(i)
        pixel = Pixel(row, column, width)
        cache, outputs = network.step(weights.params['model'], cache, image, label, pixel)
        return (image, label, cache), outputs.reshape(len(previous), channels, size)[:, channel]

    def with_value(image, i, value):
        row, column, channel = row_column_channel(i)
        value = value.astype(image.dtype)[:, None, None]
        start = (0, margin + row, margin + column, channel)
        return lax.dynamic_update_slice(image, value, start)

    def row_column_channel(i):
        _, width, channels = shape
        return i // channels // width, i // channels % width, i % channels

    return AutoregressiveParts(
        init=init,
        parameters=parameters,
        positions=natural_order(spec),
        observation=observation,
        spec=spec,
        steps=Steps(begin, step),
        is_conditional=is_conditional,
    )


def check_one_hot(spec: Spec, is_one_hot: bool) -> None:
    """Checks that the indicators of levels have one group of features, that of the only channel.

    Raises:
      ValueError: images have several channels, or no levels.
    """
    if is_one_hot and (spec.levels is None or spec.image_shape[2] != 1):
        raise ValueError('indicators of levels need images of one channel with levels')


def window_at(padded: Padded, row: Array | int, column: Array | int, *window: int) -> Window:
    """Returns the window of size `window` (rows, columns) with its top left at (row, column)."""
    sizes = (len(padded), *window, padded.shape[-1])
    return lax.dynamic_slice(padded, (0, row, column, 0), sizes)
