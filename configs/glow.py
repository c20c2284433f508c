"""Glow (Kingma and Dhariwal 2018): actnorm, invertible 1x1 convolution, affine coupling.

    python main.py --config=configs/glow.py

Test split of the dequantised digits: 102.81 +- 0.67 nats (one seed, +- over the examples), exact
for the density and a bound for the grey levels; 30 seconds on two CPU cores, mostly compilation.
MNIST (`:mnist`) is not measured.

Factored-out dimensions have the standard normal as their prior, not one of their own, and scales
are bounded by a tanh as in RealNVP.
"""

import functools

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import POINTS, Spec
from configs.shared import flows
from models.flows.actnorm import ActNorm
from models.flows.bijectors import Chain, Repeated, Squeezed
from models.flows.couplings import Coupling, half_of_channels
from models.flows.invertible_1x1_conv import InvertibleLinear
from models.flows.multiscale import as_vector, halvings, in_scales

MODELS = {  # overrides by data set; '': any other data set
    '': dict(steps=8),
    'digits': dict(network='mlp', hidden_sizes=(32,), steps=4),
    **dict.fromkeys(POINTS, dict(hidden_sizes=(64, 64), steps=16)),
}


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is any source: digits, mnist, checkerboard, ..."""
    return flows.of_couplings(argument, MODELS)


def build(config: ConfigDict, spec: Spec) -> Family:
    """Builds the flow of `config` for data described by `spec`."""
    network, elementwise = flows.network_of(config, spec), flows.elementwise_of(config)
    model = config.model
    coupling = functools.partial(Coupling, half_of_channels, network, elementwise)
    step = lambda: Chain((ActNorm(), InvertibleLinear(), coupling()))

    def scale(shape, is_last):
        """Returns the layers of one scale and its output shape; all scales alike, Figure 2b."""
        del is_last
        height, width, channels = shape
        squeezed = height // 2, width // 2, 4 * channels
        return [Squeezed(), Repeated(step, model.steps)], squeezed

    if spec.image_shape is not None:
        layers = in_scales(spec, model.scales, scale, max_scales=halvings(spec))
        return flows.flow_of(config, spec, layers)
    return flows.flow_of(config, spec, as_vector(spec, (Repeated(step, model.steps),)))
