"""Masked autoregressive flow (Papamakarios et al. 2017): the density in one pass.

    python main.py --config=configs/maf.py

Test split of the dequantised digits: 101.17 +- 0.76 nats (one seed, +- over the examples), exact
for the density and a bound for the levels; ninety seconds on two CPU cores that others used.
MNIST (`:mnist`) is not measured.
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

MODELS = {  # what differs from the settings for any other data
    'digits': dict(hidden_sizes=(256,), steps=5),
    **dict.fromkeys(POINTS, dict(hidden_sizes=(64, 64), steps=8)),
}


def get_config(argument: str | None = None) -> ConfigDict:
    """`configs/maf.py:DATA[,debug]`, DATA any source: digits, mnist, checkerboard, ..."""
    config, debug = flows.begin(argument)
    config.model.update(
        direction='density',  # whose is one pass, a number: density (MAF) | samples (IAF)
        hidden_sizes=(512, 512),
        steps=5,
    )
    config.model.update(MODELS.get(config.data.name, {}))
    if debug:
        flows.shrink(config)
    return config.lock()


def build(config: ConfigDict, spec: Spec) -> Family:
    """The flow that `config` describes, for data as `spec` says; all events are vectors."""
    hidden, elementwise = common.sizes(config, 'hidden_sizes'), flows.elementwise_of(config)
    directions = {'density': lambda layer: layer, 'samples': Inverted}
    directed = common.choice(config, 'direction', directions)
    options = common.network_options(config)

    def step():
        """An actnorm stands for each batch norm of the paper; the rest begins as the identity."""
        network = MADE(hidden, elementwise.size, last_kernel_init=zeros, **options)
        return Chain((ActNorm(), directed(MaskedAutoregressive(network, elementwise)), Reversed()))

    return flows.flow_of(config, spec, as_vector(spec, (Repeated(step, config.model.steps),)))
