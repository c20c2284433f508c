"""Gated PixelCNN (van den Oord et al. 2016): two stacks, no blind spot.

    python main.py --config=configs/gated_pixelcnn.py
    python main.py --config=configs/gated_pixelcnn.py --config.model.is_conditional=True

The two stacks together see all pixels before the current one, and optionally the class. On the test
split of the digits (17 grey levels), the exact NLL is 82.21 +- 0.56 nats (seed 0; +- is the
standard error over examples), in two minutes on two CPU cores. On dynamically binarised MNIST
(`:mnist`) it is 93.18 +- 0.21 after 1,500 steps of batch size 64. The published value is 81.50
nats, with --config.model.blocks=10 --config.model.width=128 --config.train.batch_size=128 and 457
epochs.
"""

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import Spec
from configs import pixelcnn
from configs.shared import common
from models.autoregressive.autoregressive import AutoregressiveParts, autoregressive
from models.autoregressive.causal_conv import CausalConvOptions
from models.autoregressive.gated_pixelcnn import (
    GatedPixelCNNSizes,
    Horizontal,
    Vertical,
    gated_pixelcnn,
)
from models.autoregressive.raster_scan import PixelNetwork


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config: `configs/pixelcnn.py` with other sizes."""
    config = pixelcnn.get_config(argument).unlock()
    _, debug = common.parse_argument(argument, default='digits')
    if not debug:
        config.model.width = 32
    return config.lock()


def build(config: ConfigDict, spec: Spec) -> Family:
    """Builds the model of `config` for data described by `spec`."""
    return autoregressive(parts_of(config, spec))


def parts_of(config: ConfigDict, spec: Spec) -> AutoregressiveParts:
    """Returns the network and its sampling steps, as arguments of `autoregressive`."""
    return pixelcnn.parts_of(config, spec, gated)


def gated(
    config: ConfigDict, size: int, options: CausalConvOptions, num_classes: int
) -> PixelNetwork:
    """Returns both stacks, with `size` output parameters per channel."""
    model, margins = config.model, pixelcnn.margins_of(config)
    own = GatedPixelCNNSizes(
        layers=model.blocks, width=model.width, head_width=model.head_width, **margins
    )
    return gated_pixelcnn(
        Vertical(own, options, num_classes), Horizontal(size, own, options, num_classes)
    )
