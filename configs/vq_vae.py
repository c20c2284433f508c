"""VQ-VAE (van den Oord et al. 2017), its codebook by moving averages, for data of any kind.

    python main.py --config=configs/vq_vae.py

Test split of the digits, 3 seeds, 4 codes of 64 an image: 79.6 +- 0.6 nats of reconstruction and
16.55 +- 0.02 of codes, whose perplexity over the split is 60.0 +- 0.3. About 30 seconds on two CPU
cores.
"""

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import Spec
from configs.shared import common, needs
from models.autoencoders.vq_networks import MapDecoder, MapEncoder
from models.autoencoders.vq_vae import VQVAENetworks, check_averages, vq_vae
from models.nets import mlp
from models.nets.conv_encoder_decoder import spatial_shape, stage_shapes
from models.shared.observations import observation_for

DATA = {  # what differs from the settings for any other data
    'digits': {
        'model': dict(num_codes=64, codebook_dim=16, channels=(32, 64), block_channels=(32,)),
        'hypers': dict(codebook_decay=0.9, decay_steps=1000.0, weight_decay=1.0),
        'train': dict(steps=1000, batch_size=96, evaluate_every=100, checkpoint_every=500),
    },
    'mnist': {'data': dict(binarize='stochastic')},
}


def get_config(argument: str | None = None) -> ConfigDict:
    """`configs/vq_vae.py:DATA[,debug]`, DATA any source: digits, mnist, arrays, folder, ..."""
    config, debug = common.begin(argument)
    config.model = ConfigDict(
        dict(
            num_codes=512,
            codebook_dim=64,
            channels=(64, 128),  # of each stage of stride 2; (): fully connected networks
            kernel_size=4,
            conv_form='auto',  # auto (the fast one of the backend) | matmul | lax
            block_channels=(32, 32),  # inside each residual block
            hidden_sizes=(256, 256),  # of fully connected networks
            num_positions=8,  # of fully connected networks: codes of one example
            activation='relu',
            # bernoulli | binomial | categorical | gaussian | discretized_logistic_mixture | auto
            observation='auto',
            mixture_components=2,  # of discretized_logistic_mixture
        )
    )
    config.hypers.update(
        beta=1.0,  # weight of the commitment: 0.1 to 2 in the paper
        codebook_decay=0.99,  # of the moving averages, at each step
        restart_below=0.1,  # share of even use below which a code begins anew; 0: never
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
    """The VQ-VAE that `config` describes, for data as `spec` says."""
    model = config.model
    check_averages(config.hypers.codebook_decay, config.hypers.ema_half_life)
    common.check_hypers(config)
    observation = observation_for(model.observation, spec, model.mixture_components)
    output_shape = (*spec.event_shape, observation.size)
    body = _convolutional if model.channels else _fully_connected
    encoder, decoder, map_shape = body(config, spec, output_shape)
    return vq_vae(VQVAENetworks(encoder, decoder, observation, map_shape, model.num_codes, spec))


def _convolutional(config: ConfigDict, spec: Spec, output_shape: tuple[int, ...]):
    """(encoder, decoder, shape of the map between them): a code for each block of pixels."""
    needs.axes(config, spec, 'configs/vq_vae.py --config.model.channels="()"')
    network = {
        **common.conv_shapes(config),
        **common.conv_form(config),
        **common.network_options(config),
        'block_channels': common.sizes(config, 'block_channels'),
    }
    positions = stage_shapes(spatial_shape(spec.event_shape), len(network['channels']))[-1]
    map_shape = (*positions, config.model.codebook_dim)
    encoder = MapEncoder(spec.event_shape, (), map_shape, **network)
    return encoder, MapDecoder(spec.event_shape, (), output_shape, **network), map_shape


def _fully_connected(config: ConfigDict, spec: Spec, output_shape: tuple[int, ...]):
    """(encoder, decoder, shape of the map between them): a code for each of `num_positions`."""
    del spec
    network, hidden = common.network_options(config), common.sizes(config, 'hidden_sizes')
    map_shape = (config.model.num_positions, config.model.codebook_dim)
    encoder = mlp.MLP(hidden, map_shape, **network)
    return encoder, mlp.MLP(hidden[::-1], output_shape, **network), map_shape
