"""VQ-VAE (van den Oord et al. 2017) with a moving-average codebook.

    python main.py --config=configs/vq_vae.py

The data may be of any kind. Results on the test split of the digits, mean and standard deviation
over 3 seeds: an image is represented by 4 codes out of 64. The reconstruction costs 79.6 +- 0.6
nats and the codes cost 16.55 +- 0.02 nats; their perplexity over the split is 60.0 +- 0.3. Takes
about 30 seconds on two CPU cores.
"""

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import Spec
from configs.shared import code_maps, common, needs, tokens
from models.autoencoders.vq_vae import VQVAENetworks, check_averages, vq_vae
from models.nets import mlp

DATA = {  # overrides of the defaults, by data set
    'digits': {
        'model': dict(num_codes=64, codebook_dim=16, channels=(32, 64), block_channels=(32,)),
        'hypers': dict(codebook_decay=0.9, decay_steps=1000.0, weight_decay=1.0),
        'train': dict(steps=1000, batch_size=96, evaluate_every=100, checkpoint_every=500),
    },
    'mnist': {'data': dict(binarize='stochastic')},
}


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is any source: digits, mnist, arrays, folder, ..."""
    config, debug = common.begin(argument)
    config.model = ConfigDict(
        dict(
            num_codes=512,  # entries of the codebook
            codebook_dim=64,  # dimensions of an entry
            channels=(64, 128),  # channels of each stage of stride 2; (): fully connected networks
            kernel_size=4,  # height and width of a kernel
            # form of convolutions: matmul | lax | auto (the faster one on this backend)
            conv_form='auto',
            block_channels=(32, 32),  # hidden channels of each residual block
            # units of the encoder's layers, if the networks are fully connected
            hidden_sizes=(256, 256),
            num_positions=8,  # codes per example, if the networks are fully connected
            activation='relu',  # activation: relu | tanh | gelu | silu | softplus | leaky_relu
            # distribution of x: bernoulli | binomial | categorical | gaussian |
            # discretized_logistic_mixture | auto
            observation='auto',
            mixture_components=2,  # number of components of discretized_logistic_mixture
        )
    )
    config.hypers.update(
        beta=1.0,  # weight of the commitment loss; 0.1 to 2 in the paper
        codebook_decay=0.99,  # decay of the moving averages per step
        restart_below=0.1,  # fraction of uniform use below which a code is reset; 0: never
        learning_rate_end=1e-5,
        decay_steps=31_000.0,
    )
    config.train.update(
        steps=31_000,
        batch_size=128,
        evaluate_every=1000,
        checkpoint_every=1000,
        best_metric='reconstruction_nats',
        best_mode='min',
    )
    config.update(DATA.get(config.data.name, {}))
    if debug:
        common.shrink(config)
        config.model.update(num_codes=8, codebook_dim=4, block_channels=(4,), hidden_sizes=(16,))
        config.model.update(channels=config.model.channels and (4, 8))
    return config.lock()


def build(config: ConfigDict, spec: Spec) -> Family:
    """Builds the VQ-VAE of `config` for data described by `spec`."""
    model = config.model
    check_averages(config.hypers.codebook_decay, config.hypers.ema_half_life)
    common.check_hypers(config)
    observation = tokens.observation_of(config, spec)
    output_shape = (*spec.event_shape, observation.size)
    body = _convolutional if model.channels else _fully_connected
    encoder, decoder, map_shape = body(config, spec, output_shape)
    return vq_vae(VQVAENetworks(encoder, decoder, observation, map_shape, model.num_codes, spec))


def _convolutional(config: ConfigDict, spec: Spec, output_shape: tuple[int, ...]):
    """Returns (encoder, decoder, shape of the map between them): one code per block of pixels."""
    needs.axes(config, spec, 'configs/vq_vae.py --config.model.channels="()"')
    return code_maps.networks(config, spec, output_shape, config.model.codebook_dim)


def _fully_connected(config: ConfigDict, spec: Spec, output_shape: tuple[int, ...]):
    """Returns (encoder, decoder, shape of the map between them): `num_positions` codes."""
    del spec
    network, hidden = common.network_options(config), common.sizes(config, 'hidden_sizes')
    map_shape = (config.model.num_positions, config.model.codebook_dim)
    encoder = mlp.MLP(hidden, map_shape, **network)
    return encoder, mlp.MLP(hidden[::-1], output_shape, **network), map_shape
