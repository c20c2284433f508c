"""Masked autoregressive flow (Papamakarios et al. 2017): density in one pass.

    python main.py --config=configs/maf.py

On the test split of the dequantised digits, the NLL is 101.17 +- 0.76 nats (one seed; +- is the
standard error over examples). It is exact for the density and an upper bound for the grey levels.
Takes ninety seconds on two CPU cores shared with other work. MNIST (`:mnist`) is not measured.
"""

from flax.linen.initializers import zeros
from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import POINTS, Spec
from configs.shared import common, flows
from models.autoregressive.made import MADE
from models.flows.actnorm import ActNorm
from models.flows.bijectors import Chain, Inverted, Repeated, Reversed
from models.flows.masked_autoregressive import MaskedAutoregressive
from models.flows.multiscale import as_vector

MODELS = {  # overrides of the defaults, by data set
    'digits': dict(hidden_sizes=(256,), steps=5),
    'codes': dict(hidden_sizes=(128,), steps=5),
    **dict.fromkeys(POINTS, dict(hidden_sizes=(64, 64), steps=8)),
}


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is any source: digits, mnist, checkerboard, ..."""
    config, debug = flows.begin(argument)
    config.model.update(
        direction='density',  # result of a single pass: density (MAF) | samples (IAF)
        # units of the hidden layers of each autoregressive layer's network
        hidden_sizes=(512, 512),
        # whether inputs are connected directly to outputs; large images need False
        is_direct=True,
        steps=5,  # number of flow steps, each of actnorm, an autoregressive layer and a reversal
    )
    config.model.update(MODELS.get(config.data.name, {}))
    if debug:
        flows.shrink(config)
    return config.lock()


def build(config: ConfigDict, spec: Spec) -> Family:
    """Builds the flow of `config` for data described by `spec`, flattened to vectors."""
    hidden, elementwise = common.sizes(config, 'hidden_sizes'), flows.elementwise_of(config)
    directions = {'density': lambda layer: layer, 'samples': Inverted}
    directed = common.choice(config, 'direction', directions)
    options = dict(is_direct=config.model.is_direct, **common.network_options(config))

    def step():
        """Returns a step: actnorm (paper: batch norm), layer that starts as identity, reversal."""
        network = MADE(hidden, elementwise.size, last_kernel_init=zeros, **options)
        return Chain((ActNorm(), directed(MaskedAutoregressive(network, elementwise)), Reversed()))

    return flows.flow_of(config, spec, as_vector(spec, (Repeated(step, config.model.steps),)))
