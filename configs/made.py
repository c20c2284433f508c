"""MADE (Germain et al. 2015): a masked, autoregressive MLP.

    python main.py --config=configs/made.py

On the test split of the digits (17 grey levels), the exact NLL is 92.98 +- 0.21 nats over 3 seeds,
in about fifteen seconds on two CPU cores. On dynamically binarised MNIST (`:mnist`) it is 88.93 +-
0.23 nats after 20,000 steps of batch size 256, in about twenty minutes; the published value with
8,000 units is 84.87.
"""

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import Spec
from configs.shared import common, tokens
from models.autoregressive.autoregressive import autoregressive
from models.autoregressive.made import MADE, Orders, made_parts

DATA = {  # overrides of the defaults, by data set
    'digits': {
        'model': dict(hidden_sizes=(256,)),
        'hypers': dict(decay_steps=1500.0, weight_decay=1.0),
        'train': dict(steps=1500, batch_size=96, evaluate_every=100, checkpoint_every=500),
    },
    'mnist': {'data': dict(binarize='stochastic')},
}


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is any source: digits, mnist, arrays, ..."""
    config, debug = common.begin(argument)
    config.model = ConfigDict(
        dict(
            hidden_sizes=(500,),  # units of the hidden layers of the masked network
            activation='relu',  # activation: relu | tanh | gelu | silu | softplus | leaky_relu
            # whether inputs are connected directly to outputs; large images need False
            is_direct=True,
            # distribution of x: bernoulli | binomial | categorical | gaussian |
            # discretized_logistic_mixture | auto
            observation='auto',
            mixture_components=2,  # number of components of discretized_logistic_mixture
            order='raster',  # order of the dimensions: raster | random
            num_orders=1,  # number of orders, each with its own masks; the model is their mixture
        )
    )
    config.hypers.update(decay_steps=20_000.0)
    config.train.update(
        steps=20_000,
        batch_size=256,
        evaluate_every=1000,
        checkpoint_every=1000,
        best_metric='log_prob_nats',
    )
    config.update(DATA.get(config.data.name, {}))
    if debug:
        common.shrink(config)
        config.model.hidden_sizes = (16,) * len(config.model.hidden_sizes)
    return config.lock()


def build(config: ConfigDict, spec: Spec) -> Family:
    """Builds the model of `config` for data described by `spec`."""
    model, hidden = config.model, common.sizes(config, 'hidden_sizes')
    are_raster = common.choice(config, 'order', {'raster': True, 'random': False})
    observation = tokens.observation_of(config, spec)
    options = dict(is_direct=model.is_direct, **common.network_options(config))
    network = MADE(hidden, observation.size, **options)
    orders = Orders(model.num_orders, are_raster)
    return autoregressive(made_parts(network, orders, observation, spec))
