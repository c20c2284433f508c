"""VAE-GAN (Larsen et al. 2016): encoder, decoder and discriminator, trained in one turn.

    python main.py --config=configs/vae_gan.py --config.eval.classifier=runs/classifier-digits

Results on the digits over 3 seeds (mean +- standard deviation; the value for real data in
brackets). The features are those of the classifier in runs/classifier-digits, a run of
`configs/classifier.py`. In this feature space, 223 samples are compared with 223 test digits:
Frechet distance 12.7 +- 0.8 (7.1), coverage 0.62 +- 0.03 (0.96), mean confidence of the classifier
0.85 +- 0.02 (0.96). Takes about 20 seconds on two CPU cores.
"""

import functools

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import Spec
from configs import dcgan
from configs import gan as mlp_gan
from configs.shared import common
from models.gans.vae_gan import LOSSES, Players, vae_gan
from models.nets.conv_encoder_decoder import ConvEncoder

GAN_ONLY = (
    'model.packing',
    'model.conditioning',
    'model.penalty',
    'model.feature_matching',
    'model.discriminator_turns',
    'model.generator_turns',
    'model.alternating',
    'hypers.penalty',
    'hypers.feature_matching',
    'hypers.discriminator_steps',
    'hypers.generator_steps',
    'hypers.learning_rate_generator',
)


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is any source of images or signals."""
    config = dcgan.get_config(argument)
    with config.unlocked():
        for name in GAN_ONLY:
            group, field = name.split('.')
            del config[group][field]
        config.model.update(
            latent_dim=min(16, config.model.latent_dim),  # dimensions of z; 2 in the debug variant
            norm='batch',  # normalization in encoder and decoder: none | batch
            # GAN loss of the decoder: non_saturating | minimax (Algorithm 1)
            loss='non_saturating',
        )
        config.hypers.update(
            learning_rate=1e-3,  # learning rate of the encoder and the decoder
            learning_rate_discriminator=2e-4,  # learning rate of the discriminator
            decay_steps=0.0,
            gamma=1.0,  # weight of the feature reconstruction in the decoder's loss
            beta=0.02,  # weight of the KL in the encoder's loss
        )
    return config


def build(config: ConfigDict, spec: Spec) -> Family:
    """Builds the VAE-GAN of `config` for data described by `spec`."""
    has_norm, init = common.choice(config, 'norm', mlp_gan.NORMS), mlp_gan.kernel_init(config)
    common.check_hypers(config)
    nets = mlp_gan.networks(config, spec, **dcgan.bodies(config, spec))
    generator_options, _ = mlp_gan.options(config)
    encoder = functools.partial(
        ConvEncoder,
        spec.event_shape,
        common.sizes(config, 'hidden_sizes')[::-1],
        (2 * config.model.latent_dim,),
        **common.conv_shapes(config),
        **common.conv_form(config),
        **generator_options,
    )
    return vae_gan(
        Players(
            encoder=lambda train, gather: mlp_gan.make_body(init, encoder, has_norm, train, gather),
            nets=nets,
            decoder_loss=common.choice(config, 'loss', LOSSES),
        )
    )
