"""VAE with fully connected networks (Kingma and Welling 2014) on 8x8 digits.

    python main.py --config=configs/vae.py

Test split of the digits, 17 grey levels as they are, mean and standard deviation over 5 seeds:
-ELBO 92.0 +- 0.4 nats, NLL 88.3 +- 0.3 nats (importance-weighted, k = 500), 1.99 bits a dimension.
About 15 seconds on two CPU cores, compilation and evaluation included.

Shapes with known factors (`configs/vae.py:shapes`, and --config.hypers.beta=4 and so on), under a
minute on two CPU cores; test split, mean and standard deviation over 3 seeds, MIG the mutual
information gap (nothing was tuned, and seeds differ as much as betas do):

| beta | MIG | reconstruction, nats | KL, nats |
|---|---|---|---|
| 0.5 | 0.050 +- 0.029 | 55.4 +- 1.5 | 29.63 +- 0.07 |
| 1 | 0.046 +- 0.032 | 59.5 +- 1.0 | 24.71 +- 0.07 |
| 2 | 0.049 +- 0.027 | 69.3 +- 1.7 | 19.20 +- 0.27 |
| 4 | 0.071 +- 0.029 | 84.1 +- 0.4 | 14.59 +- 0.12 |
| 8 | 0.074 +- 0.031 | 111.7 +- 3.2 | 10.43 +- 0.30 |
"""

from collections.abc import Callable

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import Spec
from configs.shared import common
from models.autoencoders.vae import Objective, VAENetworks, vae
from models.autoencoders.vae_objectives import evidence_bound
from models.nets import mlp
from models.nets.class_conditioning import WithLabel
from models.shared.observations import observation_for

DATA = {  # what differs from the settings for any other data
    'digits': {
        'model': dict(latent_dim=16, hidden_sizes=(256, 256), activation='relu'),
        'hypers': dict(decay_steps=1500.0, weight_decay=1.0),  # a thousand digits overfit soon
        'train': dict(steps=1500, batch_size=96, evaluate_every=100, checkpoint_every=500),
    },
    'shapes': {
        'model': dict(
            latent_dim=10,
            hidden_sizes=(256, 256),
            activation='relu',
            observation='binomial',  # of the 16 parts of a pixel
        ),
        'hypers': dict(decay_steps=4000.0),
        'train': dict(steps=4000, batch_size=64, evaluate_every=500, checkpoint_every=1000),
    },
    'mnist': {'data': dict(binarize='stochastic')},
    'static_mnist': {  # the setting of pythae (Chadebec et al. 2022) for its table of figures
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
    """`configs/vae.py:DATA[,debug]`, DATA any source: digits, mnist, arrays, folder, ..."""
    config, debug = common.begin(argument)
    config.model = ConfigDict(
        dict(
            latent_dim=40,
            hidden_sizes=(400, 400),
            activation='silu',
            # bernoulli | binomial | categorical | gaussian | discretized_logistic_mixture | auto
            observation='auto',
            mixture_components=2,  # of discretized_logistic_mixture
        )
    )
    config.hypers.update(
        beta=1.0,  # weight of the KL; 1 is the evidence lower bound
        kl_warmup_steps=0.0,  # over which the weight grows to beta; 0: it begins with it
        free_nats=0.0,  # of KL, that each latent dimension has for nothing
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
    config.eval.update(num_importance_samples=500, importance_chunk=50)
    config.update(DATA.get(config.data.name, {}))
    if debug:
        shrink(config)
    return config.lock()


def get_sweep() -> list[str]:
    """The axes of --mode=sweep where none are given."""
    return ['hypers.beta=0.5,1,2,4', 'seed=0:4']


def shrink(config: ConfigDict) -> None:
    """The `debug` variant of a VAE."""
    common.shrink(config)
    config.model.update(latent_dim=2, hidden_sizes=(16,))
    config.eval.update(num_importance_samples=10)


def build(config: ConfigDict, spec: Spec) -> Family:
    """The VAE that `config` describes, for data as `spec` says."""
    return assemble(config, spec, evidence_bound(), **bodies(config))


def bodies(config: ConfigDict) -> dict[str, Callable]:
    """Encoder and decoder of a given output shape, fully connected."""
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
) -> Family:
    """The VAE of networks that `encoder` and `decoder` make for the shape of one output."""
    model = config.model
    common.check_hypers(config)
    observation = observation_for(model.observation, spec, model.mixture_components)
    body = encoder((2 * model.latent_dim,))
    nets = VAENetworks(
        encoder=WithLabel(body, spec.num_classes) if is_conditional else body,
        decoder=decoder((*spec.event_shape, observation.size)),
        observation=observation,
        latent_dim=model.latent_dim,
        spec=spec,
        is_conditional=is_conditional,
    )
    return vae(nets, objective, config.eval.num_importance_samples, config.eval.importance_chunk)
