"""VQGAN (Esser et al. 2021): a VQ-VAE with a patch discriminator on its reconstructions.

    python main.py --config=configs/vqgan.py

The data may be images or signals, such as `:mnist` and `:folder`. There is no LPIPS here, because
its weights are not part of this project: features of the discriminator take its place.

Results on the test split of the digits, one seed (+- is the standard error over test images): an
image is represented by 4 codes out of 64. On the scale [0, 1], its squared error is 1.38 +- 0.04
and its absolute error 5.10 +- 0.07, summed over 64 pixels. The codes cost 16.42 +- 0.03 nats; their
perplexity over the split is 58.3. The discriminator recognises 93 +- 1 % of the patches of
reconstructions and 62 +- 2 % of those of images. Takes about 65 seconds of CPU time.
"""

import functools

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import Spec
from configs import gan as mlp_gan
from configs import vq_vae
from configs.shared import code_maps, common, needs, tokens
from models.autoencoders.vq_vae import VQVAENetworks, check_averages
from models.gans.networks import PatchDiscriminator
from models.gans.players import GANNetworks
from models.gans.vqgan import VQGANNetworks, absolute_error, vqgan

VQ_VAE_ONLY = ('hidden_sizes', 'num_positions', 'observation', 'mixture_components')
DATA = {  # overrides of the defaults, by data set
    'digits': {
        'model': dict(discriminator_channels=(32, 64)),
        'hypers': dict(
            adversarial_start=300.0, decay_steps=1500.0, learning_rate_discriminator=2e-3
        ),
        'train': dict(steps=1500),
    },
    'mnist': {'data': dict(binarize='none')},
}


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is any source of images or signals."""
    name, debug = common.parse_argument(argument, default='digits')
    config = vq_vae.get_config(argument)
    with config.unlocked():
        for field in VQ_VAE_ONLY:
            del config.model[field]
        config.model.update(
            # channels of each stage of the discriminator; each halves the resolution
            discriminator_channels=(64, 128),
            # activation of the discriminator, with the choices of activation
            discriminator_activation='leaky_relu',
            # normalization in the discriminator: none | batch | spectral
            discriminator_norm='none',
        )
        config.hypers.update(
            learning_rate_discriminator=1e-3,  # learning rate of the discriminator
            adam_beta1=0.5,
            adam_beta2=0.9,
            beta=0.25,  # weight of the commitment loss
            adversarial=0.3,  # weight of the adversarial loss, times its adaptive weight
            adaptive_weight_max=1e4,  # largest adaptive weight
            feature_matching=10.0,  # weight of the distance in features of the discriminator
            # step at which the discriminator begins to learn and to count
            adversarial_start=5000.0,
        )
        config.train.update(best_metric='', best_mode='max')
        config.update(DATA.get(name, {}))
        if debug:
            common.shrink(config)
            config.hypers.adversarial_start = 2.0
            config.model.discriminator_channels = (4,)
    return config


def build(config: ConfigDict, spec: Spec) -> Family:
    """Builds the VQGAN of `config` for data described by `spec`."""
    model = config.model
    tokens.check_numbers(config, spec)
    needs.axes(config, spec, 'configs/vq_vae.py --config.model.channels="()"')
    check_averages(config.hypers.codebook_decay, config.hypers.ema_half_life)
    common.check_hypers(config)
    observation = absolute_error(spec)
    encoder, decoder, map_shape = code_maps.networks(
        config, spec, (*spec.event_shape, observation.size), model.codebook_dim
    )
    autoencoder = VQVAENetworks(encoder, decoder, observation, map_shape, model.num_codes, spec)
    return vqgan(VQGANNetworks(autoencoder, adversary(config, spec), decoder.last_layer))


def adversary(config: ConfigDict, spec: Spec) -> GANNetworks:
    """Returns the patch discriminator, as a game without a generator."""
    norm = config.model.discriminator_norm
    has_norm = common.choice(config, 'discriminator_norm', {**mlp_gan.NORMS, 'spectral': False})
    _, options = mlp_gan.options(config)
    body = functools.partial(
        PatchDiscriminator,
        spec.event_shape,
        (),
        (),
        **common.conv_shapes(config, 'discriminator_channels'),
        **common.conv_form(config),
        **options,
    )
    return GANNetworks(
        generator=None,
        discriminator=lambda train, gather: mlp_gan.make_body(
            mlp_gan.LECUN, body, has_norm, train, gather
        ),
        latent_dim=0,
        spec=spec,
        spectral=norm == 'spectral',
        batch_norm=has_norm,
    )
