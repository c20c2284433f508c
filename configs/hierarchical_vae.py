"""VAE with two stochastic layers, bottom-up inference (Burda et al. 2015).

    python main.py --config=configs/hierarchical_vae.py

Results on the test split of the digits (17 grey levels), mean and standard deviation over 3 seeds:
-ELBO 91.9 +- 0.4 nats, NLL 89.2 +- 0.3 nats (importance-weighted, k = 500), 2.01 bits per
dimension. The KL is 6.1 +- 0.4 nats for z_1 and 2.4 +- 0.6 nats for z_2. Takes about 22 seconds of
CPU time. MNIST (`:mnist`) is not measured yet. It uses the paper's networks,
784-200-200-z_1(100)-100-100-z_2(50), without the paper's schedule; the paper reports 85.33 nats (k
= 5000), and 86.76 with one stochastic layer.
"""

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import Spec
from configs.shared import common, tokens
from models.autoencoders.hierarchical_inference import HierarchicalNetworks, bottom_up, top_down
from models.autoencoders.hierarchical_networks import networks_of
from models.autoencoders.hierarchical_vae import hierarchical_vae

DATA = {  # overrides of the defaults, by data set
    'digits': {
        'model': dict(latent_dims=(16, 8), hidden_sizes=(128, 64)),
        'hypers': dict(decay_steps=1500.0, weight_decay=1.0),  # a thousand digits overfit quickly
        'train': dict(steps=1500, batch_size=96, evaluate_every=100, checkpoint_every=500),
    },
    'mnist': {'data': dict(binarize='stochastic')},
}


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is any source: digits, mnist, arrays, ..."""
    config, debug = common.begin(argument)
    config.model = ConfigDict(
        dict(
            latent_dims=(100, 50),  # dimensions of z_1, z_2, ..., one number per stochastic layer
            # units of the networks below z_1, between z_1 and z_2, and so on
            hidden_sizes=(200, 100),
            hidden_layers=2,  # hidden layers per network
            activation='tanh',  # activation: relu | tanh | gelu | silu | softplus | leaky_relu
            inference='bottom_up',  # order of inference: bottom_up | top_down (the ladder VAE)
            # distribution of x: bernoulli | binomial | categorical | gaussian |
            # discretized_logistic_mixture | auto
            observation='auto',
            mixture_components=2,  # number of components of discretized_logistic_mixture
        )
    )
    config.hypers.update(
        beta=1.0,  # weight of the KL; 1: the evidence lower bound
        kl_warmup_steps=0.0,  # number of steps over which the weight rises from 0 to beta; 0: none
        free_nats=0.0,  # KL in nats below which a layer's cost is constant
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


def shrink(config: ConfigDict) -> None:
    """Shrinks `config` in place to the `debug` variant."""
    common.shrink(config)
    config.model.update(latent_dims=(4, 2), hidden_sizes=(16, 8))
    config.eval.update(num_importance_samples=10)


def build(config: ConfigDict, spec: Spec) -> Family:
    """Builds the hierarchical VAE of `config` for data described by `spec`."""
    model, latent_dims = config.model, common.sizes(config, 'latent_dims')
    common.check_hypers(config)
    observation = tokens.observation_of(config, spec)
    networks = networks_of(
        output_shape=(*spec.event_shape, observation.size),
        latent_dims=latent_dims,
        hidden_sizes=common.sizes(config, 'hidden_sizes'),
        hidden_layers=model.hidden_layers,
        **common.network_options(config),
    )
    return hierarchical_vae(
        HierarchicalNetworks(networks, observation, latent_dims, spec),
        common.choice(config, 'inference', {'bottom_up': bottom_up, 'top_down': top_down}),
        config.eval.num_importance_samples,
        config.eval.importance_chunk,
    )
