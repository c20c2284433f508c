"""VAE-GAN (Larsen et al. 2016): encoder, decoder and discriminator, three players in one turn.

    python main.py --config=configs/vae_gan.py --config.eval.classifier=runs/classifier-digits

TODO
"""

import functools

from ml_collections import ConfigDict

from configs import common, dcgan
from configs import gan as mlp_gan
from datasets.dataset import Spec
from errors import choose
from game import Family
from models.conv_nets import ConvEncoder
from models.vae_gan import LOSSES, Players, vae_gan

ALSO = {'train.best_metric': 'accuracy_real'}
ONLY_OF_GANS = (
    'packing',
    'conditioning',
    'penalty',
    'feature_matching',
    'discriminator_turns',
    'generator_turns',
    'alternating',
)


def get_config(argument: str | None = None) -> ConfigDict:
    """`configs/vae_gan.py:DATA[,debug]`, DATA any source of images or signals."""
    config = dcgan.get_config(argument)
    with config.unlocked():
        for name in ONLY_OF_GANS:
            del config.model[name]
        for name in (
            'penalty',
            'feature_matching',
            'discriminator_steps',
            'generator_steps',
            'learning_rate_generator',
        ):
            del config.hypers[name]
        config.model.loss = (
            'non_saturating'  # of the decoder: minimax (Algorithm 1) | non_saturating
        )
        config.model.norm = 'batch'  # none | batch, of encoder and decoder
        config.hypers.update(
            learning_rate_discriminator=2e-4,
            gamma=0.1,  # the decoder's weight of the reconstruction in features
            beta=1.0,  # the encoder's weight of the KL
        )
    return config


def build(config: ConfigDict, spec: Spec) -> Family:
    """The VAE-GAN that `config` describes, for data as `spec` says."""
    model, init = config.model, mlp_gan.kernel_init(config)
    nets = mlp_gan.networks(config, spec, **dcgan.bodies(config, spec))
    making, _ = mlp_gan.options(config)
    encoder = functools.partial(
        ConvEncoder,
        spec.event_shape,
        tuple(model.hidden_sizes)[::-1],
        (2 * model.latent_dim,),
        **common.conv_shapes(config),
        **common.conv_form(config),
        **making,
    )
    return vae_gan(
        Players(
            encoder=lambda train, gather: mlp_gan.with_norm(
                init, encoder, mlp_gan.NORMS[model.norm], train, gather
            ),
            nets=nets,
            decoder_loss=choose('model.loss', model.loss, LOSSES),
        )
    )
