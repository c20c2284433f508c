"""VAE with fully connected networks (Kingma and Welling 2014).

    python main.py --config=configs/vae.py

Results on the test split of the 8x8 digits (17 grey levels), mean and standard deviation over 5
seeds: -ELBO 92.0 +- 0.4 nats, NLL 88.3 +- 0.3 nats (importance-weighted, k = 500), 1.99 bits per
dimension. Takes about 15 seconds on two CPU cores, compilation and evaluation included.

Results on the test split of shapes with known factors (`configs/vae.py:shapes`, with
--config.hypers.beta as listed), mean and standard deviation over 3 seeds. Each run takes less than
a minute on two CPU cores. MIG is the mutual information gap. Nothing was tuned, and the MIG varies
as much between seeds as between values of beta:

| beta | MIG | reconstruction, nats | KL, nats |
|---|---|---|---|
| 0.5 | 0.050 +- 0.029 | 55.4 +- 1.5 | 29.63 +- 0.07 |
| 1 | 0.046 +- 0.032 | 59.5 +- 1.0 | 24.71 +- 0.07 |
| 2 | 0.049 +- 0.027 | 69.3 +- 1.7 | 19.20 +- 0.27 |
| 4 | 0.071 +- 0.029 | 84.1 +- 0.4 | 14.59 +- 0.12 |
| 8 | 0.074 +- 0.031 | 111.7 +- 3.2 | 10.43 +- 0.30 |
"""

import math
from collections.abc import Callable

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import Spec
from configs.shared import common, tokens
from models.autoencoders.vae import Objective, VAENetworks, vae
from models.autoencoders.vae_objectives import evidence_bound
from models.nets import mlp
from models.nets.conditioning import WithLabel, num_vectors

DATA = {  # overrides of the defaults, by data set
    'digits': {
        'model': dict(latent_dim=16, hidden_sizes=(256, 256), activation='relu'),
        'hypers': dict(decay_steps=1500.0, weight_decay=1.0),  # a VAE quickly overfits 1,000 digits
        'train': dict(steps=1500, batch_size=96, evaluate_every=100, checkpoint_every=500),
    },
    'shapes': {
        'model': dict(
            latent_dim=10,
            hidden_sizes=(256, 256),
            activation='relu',
            observation='binomial',  # over the 16 subpixels of a pixel
        ),
        'hypers': dict(decay_steps=4000.0),
        'train': dict(steps=4000, batch_size=64, evaluate_every=500, checkpoint_every=1000),
    },
    'codes': {  # the second stage of a two-stage VAE (Dai and Wipf 2019)
        'model': dict(latent_dim=16, hidden_sizes=(256, 256)),
        'hypers': dict(decay_steps=3000.0),
        'train': dict(steps=3000, batch_size=96, evaluate_every=500, checkpoint_every=500),
    },
    'mnist': {'data': dict(binarize='stochastic')},
    'static_mnist': {  # the setting of pythae's results table (Chadebec et al. 2022)
        'model': dict(hidden_sizes=(400,), activation='relu'),
        'hypers': dict(
            learning_rate=1e-4,
            decay_steps=0.0,
            milestone_1=100_000.0,  # 200 epochs
            milestone_2=175_000.0,
            milestone_factor=10**-0.2,
        ),
        'train': dict(steps=250_000, batch_size=100, evaluate_every=2500, checkpoint_every=12_500),
        'eval': dict(num_importance_samples=200),
    },
}


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is any source: digits, mnist, arrays, folder, ..."""
    config, debug = common.begin(argument)
    config.model = ConfigDict(
        dict(
            latent_dim=40,  # dimensions of z
            # units of the encoder's layers; the decoder has them in reverse order
            hidden_sizes=(400, 400),
            activation='silu',  # activation: relu | tanh | gelu | silu | softplus | leaky_relu
            # distribution of x: bernoulli | binomial | categorical | gaussian |
            # discretized_logistic_mixture | auto
            observation='auto',
            mixture_components=2,  # number of components of discretized_logistic_mixture
        )
    )
    config.hypers.update(
        beta=1.0,  # weight of the KL; 1: the evidence lower bound
        kl_warmup_steps=0.0,  # number of steps over which the weight rises from 0 to beta; 0: none
        free_nats=0.0,  # KL in nats below which a dimension's cost is constant
        learning_rate_end=1e-5,
        decay_steps=50_000.0,
    )
    config.train.update(
        steps=50_000,
        batch_size=256,
        evaluate_every=1000,
        checkpoint_every=1000,
        best_metric='elbo_nats',
    )
    config.eval.update(
        # number of importance samples of the log-likelihood (IWAE bound)
        num_importance_samples=500,
        # number of importance samples computed at a time; fewer need less memory
        importance_chunk=50,
    )
    config.update(DATA.get(config.data.name, {}))
    if debug:
        shrink(config)
    return config.lock()


def get_sweep() -> list[str]:
    """Returns the default axes of --mode=sweep."""
    return ['hypers.beta=0.5,1,2,4', 'seed=0:4']


def shrink(config: ConfigDict) -> None:
    """Shrinks `config` in place to the `debug` variant of a VAE."""
    common.shrink(config)
    config.model.update(latent_dim=2, hidden_sizes=(16,))
    config.eval.update(num_importance_samples=10)


def build(config: ConfigDict, spec: Spec) -> Family:
    """Builds the VAE of `config` for data described by `spec`."""
    return assemble(config, spec, evidence_bound(), **bodies(config))


def bodies(config: ConfigDict) -> dict[str, Callable]:
    """Returns functions from an output shape to the fully connected encoder and decoder."""
    network, hidden = common.network_options(config), common.sizes(config, 'hidden_sizes')
    return dict(
        encoder=lambda output_shape: mlp.MLP(hidden, output_shape, **network),
        decoder=lambda output_shape: mlp.MLP(hidden[::-1], output_shape, **network),
    )


def assemble(
    config: ConfigDict,
    spec: Spec,
    objective: Objective,
    encoder: Callable,
    decoder: Callable,
    is_conditional: bool = False,
    map_shape: tuple[int, ...] = (),
) -> Family:
    """Builds the VAE; `encoder` and `decoder` map the shape of one output to a network.

    `map_shape` is the shape of z as a map; () if z has `config.model.latent_dim` dimensions.
    """
    model = config.model
    common.check_hypers(config)
    observation = tokens.observation_of(config, spec)
    latent_dim = math.prod(map_shape) if map_shape else model.latent_dim
    body = encoder((2 * latent_dim,))
    nets = VAENetworks(
        encoder=WithLabel(body, num_vectors(spec)) if is_conditional else body,
        decoder=decoder((*spec.event_shape, observation.size)),
        observation=observation,
        latent_dim=latent_dim,
        spec=spec,
        is_conditional=is_conditional,
        map_shape=map_shape,
    )
    return vae(nets, objective, config.eval.num_importance_samples, config.eval.importance_chunk)
