"""Gated PixelCNN: van den Oord et al. (2016), Conditional Image Generation with PixelCNN Decoders.

Two stacks of maps (section 2.3, figure 2). The vertical stack covers all rows above a pixel, but
not the pixel's own row. The horizontal stack covers the pixels to the left in that row, and reads
the outputs of the vertical stack. Together the two stacks cover all earlier pixels.
"""

import functools
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from atelier.errors import MAX_UNROLLED, at_least, check_sizes
from models.autoregressive.causal_conv import (
    CausalConv,
    CausalConvOptions,
    Maps,
    Pixel,
    Reach,
    Windows,
)
from models.autoregressive.raster_scan import ClassBias, PixelNetwork, window_at
from models.nets.conditioning import Given
from models.nets.conv import Conv

NewMaps = Float[Array, 'batch new_rows new_columns new_features']
Links = tuple[Float[Array, 'batch height width twice_width'], ...]


class GatedPixelCNNSizes(NamedTuple):
    """The sizes of a gated PixelCNN.

    layers: number of layers after the first one.
    width: features of a layer; the maps before the gate have twice as many.
    head_width: features of the layer before the last.
    first_margin: pixels that the first layer covers in each direction.
    margin: the same for the other layers.
    """

    layers: int
    width: int
    head_width: int
    first_margin: int
    margin: int


class Vertical(nn.Module):
    """The vertical stack, for all rows or for one row, which depends on the rows above it.

    Attributes:
      size: sizes of the network.
      options: settings shared by the layers. Features are not grouped by channel here, because
        every input is from an earlier row.
      num_classes: number of classes of the label, or of features; 0 without a condition.
    """

    size: GatedPixelCNNSizes
    options: CausalConvOptions
    num_classes: int = 0

    @nn.compact
    def __call__(self, x: Maps, label: Given | None, pixel: Pixel | None = None) -> Links:
        """Returns each layer's input to the horizontal stack.

        Args:
          x: padded images without their last row. For one row: only the `first_margin` padded rows
            above it.
          label: the class of each image, or features.
          pixel: the first pixel of the row, if only one row is computed; earlier calls compute the
            rows above it.
        """
        size, width = self.size, 2 * self.size.width
        conv = functools.partial(
            Conv, padding='VALID', form=self.options.form, dtype=self.options.dtype
        )
        links, reach = [], Reach(size.margin, size.margin, size.margin)
        for layer in range(size.layers + 1):
            window = reach.window if layer else (size.first_margin, 2 * size.first_margin + 1)
            h = conv(width, window)(x)
            links.append(conv(width, (1, 1))(h))
            if layer < size.layers:
                h = gated(h + ClassBias(self.num_classes, width)(label))
                x = Windows(reach)(h, pixel)
        return tuple(links)


class Horizontal(nn.Module):
    """The horizontal stack and the head, for all pixels or for one.

    Attributes:
      outputs: number of outputs per channel of a pixel.
      size: sizes of the network.
      options: settings shared by the layers.
      num_classes: number of classes of the label, or of features; 0 without a condition.
    """

    outputs: int
    size: GatedPixelCNNSizes
    options: CausalConvOptions
    num_classes: int = 0

    @nn.compact
    def __call__(
        self,
        x: Maps,
        links: Links,
        label: Given | None,
        pixel: Pixel | None = None,
    ) -> NewMaps:
        """Returns [batch, height, width, channels * outputs], or [batch, 1, 1, ...] for one pixel.

        Args:
          x: images with a margin at the left only, or the window of one pixel.
          links: the outputs of the vertical stack.
          label: the class of each image, or features.
          pixel: the pixel, if only one is computed; earlier calls compute the pixels before it.
        """
        size, width = self.size, self.size.width
        conv = functools.partial(CausalConv, options=self.options)
        h, skipped = None, 0.0
        for layer, link in enumerate(links):
            reach = Reach(0, size.margin if layer else size.first_margin, 0)
            if layer:
                x = Windows(reach)(h, pixel)
            r = conv(2 * width, reach=reach, is_first=not layer, parts=2)(x, pixel)
            r = gated(r + link + ClassBias(self.num_classes, 2 * width)(label))
            skipped = skipped + conv(width)(r, pixel)
            if layer < size.layers:
                r = conv(width)(r, pixel)
                h = r + h if layer else r  # the first layer's input is the image
        h = nn.relu(conv(size.head_width)(nn.relu(skipped), pixel))
        return conv(self.options.channels * self.outputs)(h, pixel)


def gated(h: Maps) -> NewMaps:
    """Returns tanh of one half of the features times the sigmoid of the other: equation 2."""
    value, gate = jnp.split(h, 2, -1)
    return jnp.tanh(value) * nn.sigmoid(gate)


class StackCaches(NamedTuple):
    """The caches of both stacks, and the vertical stack's outputs for the current row."""

    vertical_cache: dict
    links: tuple
    horizontal_cache: dict


def gated_pixelcnn(vertical: Vertical, horizontal: Horizontal) -> PixelNetwork:
    """Returns the network of both stacks, which computes whole images or one pixel at a time.

    In the latter case, at the first pixel of a row, the vertical stack computes the whole row.
    """
    size, margin = vertical.size, vertical.size.first_margin
    at_least(1, 'model.blocks', size.layers, most=MAX_UNROLLED)
    check_sizes(size, 'width', 'head_width', least=vertical.options.channels)

    def init(key, padded, label):
        keys = [jax.random.fold_in(key, i) for i in (0, 1)]
        links, vertical_variables = vertical.init_with_output(keys[0], padded[:, :-1], label)
        horizontal_variables = horizontal.init(keys[1], left_margin_only(padded), links, label)
        return {
            'vertical': vertical_variables['params'],
            'horizontal': horizontal_variables['params'],
        }

    def left_margin_only(padded):
        return padded[:, margin:, :-margin]

    def whole(params, padded, label):
        links = vertical.apply({'params': params['vertical']}, padded[:, :-1], label)
        variables = {'params': params['horizontal']}
        return horizontal.apply(variables, left_margin_only(padded), links, label)

    def new_row(params, cache, padded, label, pixel: Pixel):
        window = window_at(padded, pixel.row, 0, margin, padded.shape[2])
        variables = {'params': params['vertical'], 'cache': cache}
        links, updates = vertical.apply(variables, window, label, pixel, mutable=['cache'])
        return updates.get('cache', {}), links

    def in_row(params, memory: StackCaches, padded, label, pixel: Pixel):
        window = window_at(padded, pixel.row + margin, pixel.column, 1, margin + 1)
        links = tuple(window_at(link, 0, pixel.column, 1, 1) for link in memory.links)
        variables = {'params': params['horizontal'], 'cache': memory.horizontal_cache}
        outputs, updates = horizontal.apply(
            variables, window, links, label, pixel, mutable=['cache']
        )
        return memory._replace(horizontal_cache=updates.get('cache', {})), outputs

    def begin(params, padded, label, width: int):
        start = Pixel(jnp.asarray(0), jnp.asarray(0), width)

        def first_memory():
            cache, links = new_row(params, {}, padded, label, start)
            return in_row(params, StackCaches(cache, links, {}), padded, label, start)[0]

        return jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(first_memory))

    def step(params, memory: StackCaches, padded, label, pixel: Pixel):
        cache, links = jax.lax.cond(
            pixel.column == 0,
            lambda cache, links: new_row(params, cache, padded, label, pixel),
            lambda cache, links: (cache, links),
            memory.vertical_cache,
            memory.links,
        )
        memory = memory._replace(vertical_cache=cache, links=links)
        return in_row(params, memory, padded, label, pixel)

    return PixelNetwork(init, whole, begin, step, margin)
