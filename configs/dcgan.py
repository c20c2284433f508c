"""GAN with stride-2 convolutions (after Radford et al. 2016), for images and signals.

    python main.py --config=configs/dcgan.py:mnist --config.eval.classifier=runs/classifier-mnist

Results on MNIST over 3 seeds (mean +- standard deviation; the value for real data in brackets). The
features are those of the classifier in runs/classifier-mnist, a run of
`configs/classifier.py:mnist`. In this feature space, 5,000 samples are compared with 5,000 test
images: Frechet distance 34.2 +- 0.8 (2.0), coverage 0.72 +- 0.02 (0.97), mean confidence of the
classifier 0.921 +- 0.002 (0.996). Takes about 7 minutes on two CPU cores. After 14,000 steps the
coverage is 0.87 (docs/results.md).

Results on the digits (without `:mnist`) over 3 seeds: Frechet distance 12.9 +- 1.5 (7.1), coverage
0.62 +- 0.03 (0.96). Takes about 12 seconds on two CPU cores.
"""

import functools

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import Spec
from configs import gan as mlp_gan
from configs.shared import common, needs
from models.gans.adaptive_augmentation import Adaptive
from models.nets.conv_encoder_decoder import ConvDecoder, ConvEncoder

DATA = {  # overrides of the defaults, by data set
    'digits': {
        'model': dict(
            channels=(16, 32),
            discriminator_channels=(16, 32),
            discriminator_hidden_sizes=(128,),
        ),
        'hypers': dict(decay_steps=3000.0),
        'train': dict(steps=3000, batch_size=96),
    },
}


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is any source of images or signals."""
    name, debug = common.parse_argument(argument, default='digits')
    config = mlp_gan.get_config(name)
    with config.unlocked():
        del config.model.maxout_pieces
        config.model.update(
            # channels of the generator, finest stage first; each stage doubles the resolution
            channels=(32, 128),
            discriminator_channels=(32, 128),  # channels of each stage; each halves the resolution
            kernel_size=4,  # height and width of a kernel
            # form of convolutions: matmul | lax | auto (the faster one on this backend)
            conv_form='auto',
            hidden_sizes=(),  # units of the dense layers before the generator's convolutions
            # units of the dense layers after the discriminator's convolutions; the last gives the
            # features
            discriminator_hidden_sizes=(256,),
            # penalty on the gradient of the discriminator: none | gradient_penalty | r1 | r2
            penalty='r1',
        )
        config.hypers.update(
            learning_rate=1e-3,
            learning_rate_generator=1e-3,
            learning_rate_end=1e-5,
            decay_steps=6000.0,
            penalty=0.3,
        )
        config.train.update(steps=6000, batch_size=128)
        config.update(DATA.get(name, {}))
        if debug:
            common.shrink(config)
            config.model.update(
                latent_dim=2,
                channels=(4, 8),
                discriminator_channels=(4, 8),
                discriminator_hidden_sizes=(8,),
            )
    return config


def build(config: ConfigDict, spec: Spec, augment: Adaptive | None = None) -> Family:
    """Builds the GAN of `config` for data described by `spec`; `augment` is that of the rules."""
    return mlp_gan.assemble(config, spec, **bodies(config, spec), augment=augment)


def bodies(config: ConfigDict, spec: Spec) -> dict:
    """Returns both networks and the discriminator's activation, as arguments of `gan.assemble`."""
    needs.axes(config, spec, 'configs/gan.py')
    hidden, (*inner, last) = mlp_gan.layers(config)
    event, form = spec.event_shape, common.conv_form(config)
    generator_options, discriminator_options = (
        {**options, **form} for options in mlp_gan.options(config)
    )
    generator_options.update(common.conv_shapes(config))
    discriminator_options.update(common.conv_shapes(config, 'discriminator_channels'))
    return dict(
        generator=functools.partial(ConvDecoder, event, hidden, event, **generator_options),
        discriminator=functools.partial(
            ConvEncoder, event, tuple(inner), (last,), **discriminator_options
        ),
        activation=discriminator_options['activation'],
    )
