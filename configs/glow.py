"""Glow (Kingma and Dhariwal 2018): actnorm, invertible 1x1 convolution, affine coupling.

    python main.py --config=configs/glow.py

On the test split of the dequantised digits, the NLL is 102.81 +- 0.67 nats (one seed; +- is the
standard error over examples). It is exact for the density and an upper bound for the grey levels.
Takes 30 seconds on two CPU cores, mostly for compilation. MNIST (`:mnist`) is not measured.

The prior of factored-out dimensions is the standard normal, not a learned one. The scales of the
couplings are bounded by a tanh as in RealNVP.
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

MODELS = {  # overrides of the defaults, by data set; '': any other data set
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
        """Returns a scale's layers and output shape; all scales have the same form (Figure 2b)."""
        del is_last
        height, width, channels = shape
        squeezed = height // 2, width // 2, 4 * channels
        return [Squeezed(), Repeated(step, model.steps)], squeezed

    if spec.image_shape is not None:
        layers = in_scales(spec, model.scales, scale, max_scales=halvings(spec))
        return flows.flow_of(config, spec, layers)
    return flows.flow_of(config, spec, as_vector(spec, (Repeated(step, model.steps),)))
