"""PixelCNN: van den Oord, Kalchbrenner and Kavukcuoglu (2016), Pixel Recurrent Neural Networks.

Masked convolutions in residual blocks (section 3.5 and table 1). Their blind spot, the earlier
pixels to the right of a rising diagonal, is covered by `models.autoregressive.gated_pixelcnn`.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from atelier.errors import MAX_UNROLLED, check_sizes
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

NewMaps = Float[Array, 'batch new_rows new_columns new_features']


class PixelCNN(nn.Module):
    """A first convolution with mask A, residual blocks with mask B, and two 1 x 1 layers.

    Attributes:
      size: outputs per channel of a pixel.
      blocks: number of residual blocks.
      width: features of a block's convolution; the maps between blocks have twice as many.
      head_width: features of the layer before the last.
      first_margin: pixels that the first convolution covers in each direction.
      margin: the same for a block's convolution.
      options: settings shared by the layers.
      num_classes: number of classes of the label, or of features; 0 without a condition.
    """

    size: int
    blocks: int
    width: int
    head_width: int
    first_margin: int
    margin: int
    options: CausalConvOptions
    num_classes: int = 0

    def __post_init__(self):
        """Refuses invalid sizes. Widths are at least the channels: each channel's group needs a
        feature.
        """
        super().__post_init__()
        check_sizes(self, 'blocks', most=MAX_UNROLLED)
        check_sizes(self, 'width', 'head_width', least=self.options.channels)

    @nn.compact
    def __call__(self, x: Maps, label: Given | None, pixel: Pixel | None = None) -> NewMaps:
        """Returns [batch, height, width, channels * size], or [batch, 1, 1, ...] for one pixel.

        Args:
          x: images with a margin of zeros, or the window of one pixel in such images.
          label: the class of each image, or features.
          pixel: the pixel, if only one is computed; earlier calls compute the pixels before it.
        """
        conv = functools.partial(CausalConv, options=self.options)
        first = Reach(*[self.first_margin] * 3)
        h = conv(2 * self.width, reach=first, is_first=True)(x, pixel)
        for _ in range(self.blocks):
            r = nn.relu(h + ClassBias(self.num_classes, 2 * self.width)(label))
            r = nn.relu(conv(self.width)(r, pixel))
            reach = Reach(*[self.margin] * 3)
            r = nn.relu(conv(self.width, reach=reach)(Windows(reach)(r, pixel), pixel))
            h = h + conv(2 * self.width)(r, pixel)
        h = nn.relu(conv(self.head_width)(nn.relu(h), pixel))
        return conv(self.options.channels * self.size)(h, pixel)


def pixelcnn(network: PixelCNN) -> PixelNetwork:
    """Returns the network for whole images and for one pixel at a time.

    In the latter case each block's cache holds the rows of its windows.
    """
    rows, columns = Reach(*[network.first_margin] * 3).window

    def begin(params, padded, label, width: int):
        start = Pixel(jnp.asarray(0), jnp.asarray(0), width)
        cache = jax.eval_shape(lambda: step(params, {}, padded, label, start)[0])
        return jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), cache)

    def step(params, cache, padded, label, pixel: Pixel):
        window = window_at(padded, pixel.row, pixel.column, rows, columns)
        variables = {'params': params, 'cache': cache}
        outputs, updates = network.apply(variables, window, label, pixel, mutable=['cache'])
        return updates['cache'], outputs

    return PixelNetwork(
        init=lambda key, padded, label: network.init(key, padded, label)['params'],
        whole=lambda params, padded, label: network.apply({'params': params}, padded, label),
        begin=begin,
        step=step,
        margin=network.first_margin,
    )
