"""Convolutional autoencoder, for images of any shape and signals.

    python main.py --config=configs/conv_autoencoder.py
    python main.py --config=configs/conv_autoencoder.py:mnist --config.model.latent_dim=32

The networks are those of the Keras tutorial (Chollet 2016, Building Autoencoders in Keras), from
28x28 to 7x7x32 and back, optionally with strides instead of pooling and upsampling. On the digits
(8x8 to 2x2x8), 1/2 ||x - x^||^2 of test images in [0, 1] is 0.52 +- 0.05 (mean and standard
deviation over 3 seeds). Takes about 17 seconds on two CPU cores.

Results on the test split of MNIST with a dense 32-dimensional code (second command), one seed:
cross-entropy 63.9, half squared error 2.64. For comparison, the half squared error is 6.60 for
PCA with 32 components (`python -m benchmarks.pca_error`) and 4.13 for the fully connected
784-32-784 network. Takes about 4 minutes.
"""

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import Spec
from atelier.errors import UserError
from configs import autoencoder as mlp_autoencoder
from configs.shared import common, needs
from models.autoencoders.networks import Pair
from models.nets.conv_encoder_decoder import (
    ConvDecoder,
    ConvEncoder,
    spatial_shape,
    stage_shapes,
)
from models.nets.pooling_encoder_decoder import PoolingDecoder, PoolingEncoder

BODIES = {'pooling': (PoolingEncoder, PoolingDecoder), 'strides': (ConvEncoder, ConvDecoder)}


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is any source of images or signals."""
    name, debug = common.parse_argument(argument, default='digits')
    config = mlp_autoencoder.get_config(name)
    with config.unlocked():
        del config.model.tied
        config.model.update(
            # change of resolution: pooling (max-pooling, and upsampling by repetition) | strides
            body='pooling',
            channels=(32, 32),  # channels of each stage; each stage halves the resolution
            kernel_size=3,  # height and width of a kernel
            # form of convolutions: matmul | lax | auto (the faster one on this backend)
            conv_form='auto',
            latent_dim=0,  # size of a dense bottleneck; 0: the last feature maps are the code
            hidden_sizes=(),  # units of the dense layers between convolutions and bottleneck
            code_activation='none',
        )
        if name == 'digits':
            config.model.channels = (32, 8)
            config.hypers.learning_rate = 3e-3
        if name == 'mnist':
            config.train.update(
                steps=1500, batch_size=128, evaluate_every=500, checkpoint_every=500
            )
            config.hypers.update(learning_rate=2e-3, decay_steps=1500.0)
        if debug:
            common.shrink(config)
            config.model.update(channels=(4, 2), contraction_probes=2)
    return config


def build(config: ConfigDict, spec: Spec) -> Family:
    """Builds the autoencoder of `config` for data described by `spec`.

    Raises:
      UserError: there are dense layers but no bottleneck.
    """
    needs.axes(config, spec, 'configs/autoencoder.py')
    hidden = common.sizes(config, 'hidden_sizes')
    latent_dim = common.size(config, 'latent_dim', least=0)
    if hidden and not latent_dim:
        raise UserError(
            f'config.model.hidden_sizes={hidden} but no bottleneck: give '
            '--config.model.latent_dim=NUMBER, or --config.model.hidden_sizes="()"'
        )
    network = {
        **common.conv_shapes(config),
        **common.conv_form(config),
        **common.network_options(config),
        'has_dense': latent_dim > 0,
    }
    encoder, decoder = common.choice(config, 'body', BODIES)
    net = Pair(
        encoder(spec.event_shape, hidden, (latent_dim or -1,), **network),
        decoder(spec.event_shape, hidden[::-1], spec.event_shape, **network),
        common.choice(config, 'code_activation', mlp_autoencoder.CODE_ACTIVATIONS),
    )
    smallest = stage_shapes(spatial_shape(spec.event_shape), len(network['channels']))[-1]
    map_shape = () if latent_dim else (*smallest, network['channels'][-1])
    return mlp_autoencoder.assemble(config, spec, net, map_shape)
