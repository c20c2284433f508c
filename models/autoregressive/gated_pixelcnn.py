"""Gated PixelCNN: van den Oord et al. (2016), Conditional Image Generation with PixelCNN Decoders.

Two stacks of maps (section 2.3, figure 2). The vertical stack covers all rows above a pixel and
nothing of its own row. The horizontal stack covers the pixels to the left in its row, and reads the
rest from the vertical stack: together they cover all earlier pixels.
"""

import functools
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from atelier.errors import at_least, check_sizes
from models.autoregressive.causal_conv import (
    CausalConv,
    CausalConvOptions,
    Maps,
    Place,
    Reach,
    Windows,
)
from models.autoregressive.raster_scan import ByPixel, ClassBias, window_at
from models.nets.conv import Conv

Made = Float[Array, 'batch new_rows new_columns made']
Links = tuple[Float[Array, 'batch height width twice_width'], ...]


class Size(NamedTuple):
    """The sizes of a gated PixelCNN.

    layers: how many, after the first.
    width: features of a layer; twice as many before the gate.
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
    """The vertical stack, for all rows or for one: a row depends on those above it.

    Attributes:
      size: of the network.
      kind: settings shared by the layers; features have no groups, since all inputs come earlier.
      num_classes: of the label; 0: no label.
    """

    size: Size
    kind: CausalConvOptions
    num_classes: int = 0

    @nn.compact
    def __call__(
        self, seen: Maps, label: Int[Array, 'batch'] | None, place: Place | None = None
    ) -> Links:
        """Returns each layer's input to the horizontal stack.

        Args:
          seen: images with a margin but without their last row, or the rows of the margin's height
            above one row.
          label: of each.
          place: the first pixel of the only row to compute, after those above it.
        """
        size, width = self.size, 2 * self.size.width
        conv = functools.partial(Conv, padding='VALID', form=self.kind.form, dtype=self.kind.dtype)
        links, reach = [], Reach(size.margin, size.margin, size.margin)
        for layer in range(size.layers + 1):
            window = reach.window if layer else (size.first_margin, 2 * size.first_margin + 1)
            h = conv(width, window)(seen)
            links.append(conv(width, (1, 1))(h))
            if layer < size.layers:
                h = gated(h + ClassBias(self.num_classes, width)(label))
                seen = Windows(reach)(h, place)
        return tuple(links)


class Horizontal(nn.Module):
    """The horizontal stack and the head, for all pixels or for one.

    Attributes:
      outputs: how many per channel of a pixel.
      size: of the network.
      kind: settings shared by the layers.
      num_classes: of the label; 0: no label.
    """

    outputs: int
    size: Size
    kind: CausalConvOptions
    num_classes: int = 0

    @nn.compact
    def __call__(
        self,
        seen: Maps,
        links: Links,
        label: Int[Array, 'batch'] | None,
        place: Place | None = None,
    ) -> Made:
        """Returns [batch, height, width, channels * outputs], or [batch, 1, 1, ...] for one pixel.

        Args:
          seen: images with a margin at the left only, or the window of one pixel.
          links: the outputs of the vertical stack.
          label: of each.
          place: the only pixel to compute, after those before it.
        """
        size, width = self.size, self.size.width
        conv = functools.partial(CausalConv, kind=self.kind)
        h, skipped = None, 0.0
        for layer, link in enumerate(links):
            reach = Reach(0, size.margin if layer else size.first_margin, 0)
            if layer:
                seen = Windows(reach)(h, place)
            r = conv(2 * width, reach=reach, is_first=not layer, parts=2)(seen, place)
            r = gated(r + link + ClassBias(self.num_classes, 2 * width)(label))
            skipped = skipped + conv(width)(r, place)
            if layer < size.layers:
                r = conv(width)(r, place)
                h = r + h if layer else r  # the first layer's input is the image
        h = nn.relu(conv(size.head_width)(nn.relu(skipped), place))
        return conv(self.kind.channels * self.outputs)(h, place)


def gated(h: Maps) -> Made:
    """Returns tanh of one half of the features times the sigmoid of the other: equation 2."""
    value, gate = jnp.split(h, 2, -1)
    return jnp.tanh(value) * nn.sigmoid(gate)


class Memory(NamedTuple):
    """The caches of both stacks, and the vertical stack's outputs for the current row."""

    above: dict
    links: tuple
    left: dict


def gated_pixelcnn(vertical: Vertical, horizontal: Horizontal) -> ByPixel:
    """Returns both stacks, whole and pixel by pixel.

    Pixel by pixel, the vertical stack computes a whole row at its first pixel.
    """
    size, margin = vertical.size, vertical.size.first_margin
    at_least(1, 'model.blocks', size.layers)
    check_sizes(size, 'width', 'head_width', least=vertical.kind.channels)

    def init(key, padded, label):
        keys = [jax.random.fold_in(key, number) for number in (0, 1)]
        links, above = vertical.init_with_output(keys[0], padded[:, :-1], label)
        left = horizontal.init(keys[1], beside(padded), links, label)
        return {'vertical': above['params'], 'horizontal': left['params']}

    def beside(padded):
        return padded[:, margin:, :-margin]

    def whole(params, padded, label):
        links = vertical.apply({'params': params['vertical']}, padded[:, :-1], label)
        variables = {'params': params['horizontal']}
        return horizontal.apply(variables, beside(padded), links, label)

    def new_row(params, above, padded, label, place: Place):
        seen = window_at(padded, place.row, 0, margin, padded.shape[2])
        variables = {'params': params['vertical'], 'cache': above}
        links, changed = vertical.apply(variables, seen, label, place, mutable=['cache'])
        return changed.get('cache', {}), links

    def in_row(params, memory: Memory, padded, label, place: Place):
        seen = window_at(padded, place.row + margin, place.column, 1, margin + 1)
        links = tuple(window_at(link, 0, place.column, 1, 1) for link in memory.links)
        variables = {'params': params['horizontal'], 'cache': memory.left}
        told, changed = horizontal.apply(variables, seen, links, label, place, mutable=['cache'])
        return memory._replace(left=changed.get('cache', {})), told

    def begin(params, padded, label, width: int):
        start = Place(jnp.asarray(0), jnp.asarray(0), width)

        def first():
            above, links = new_row(params, {}, padded, label, start)
            return in_row(params, Memory(above, links, {}), padded, label, start)[0]

        return jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(first))

    def at(params, memory: Memory, padded, label, place: Place):
        above, links = jax.lax.cond(
            place.column == 0,
            lambda above, links: new_row(params, above, padded, label, place),
            lambda above, links: (above, links),
            memory.above,
            memory.links,
        )
        return in_row(params, memory._replace(above=above, links=links), padded, label, place)

    return ByPixel(init, whole, begin, at, margin)
