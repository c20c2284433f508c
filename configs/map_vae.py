"""VAE whose code is a map: the autoencoder of latent diffusion (Rombach et al. 2022, appendix G).

    python main.py --config=configs/map_vae.py

There are no dense layers. A position of the code belongs to the pixels around it, and each stage
halves the resolution: 28x28 pixels have a code of 7x7 positions. The paper's autoencoder also has a
perceptual and an adversarial loss. This one has the likelihood of the other VAEs, and a small
weight of the KL; `hypers.beta=1` trains the evidence lower bound. The parent of latent diffusion on
MNIST has grey levels:

    python main.py --config=configs/map_vae.py:mnist --config.data.binarize=none

Results on the test split of the digits in nats, one seed (+- is the standard error over test
images), with a code of 4x4 positions and 2 channels: reconstruction 50.6 +- 0.5, KL 99.7 +- 0.4,
-ELBO 150.3 +- 0.6. With a KL of the weight 1, the -ELBO of `configs/conv_vae.py` is 94.2. Takes
about 45 seconds of CPU time.
"""

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import Spec
from configs import vae as mlp_vae
from configs.shared import code_maps, common, needs
from models.autoencoders.flat_maps import FlatDecoder, FlatPosterior
from models.autoencoders.vae_objectives import evidence_bound


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is any source of images or signals."""
    name, debug = common.parse_argument(argument, default='digits')
    config = mlp_vae.get_config(name)
    with config.unlocked():
        del config.model.latent_dim
        del config.model.hidden_sizes
        config.model.update(
            latent_channels=4,  # channels of the code, a map [height, width, latent_channels]
            channels=(32, 64),  # channels of each stage; each stage halves the resolution
            kernel_size=4,  # height and width of a kernel
            # form of convolutions: matmul | lax | auto (the faster one on this backend)
            conv_form='auto',
            block_channels=(32,),  # hidden channels of each residual block
            activation='silu',
        )
        config.hypers.beta = 0.1
        # not the bound: its KL has the weight 1, and that of the loss has the weight beta
        config.train.update(best_metric='reconstruction_nats', best_mode='min')
        if name == 'digits':
            config.model.update(channels=(32,), block_channels=(16,), latent_channels=2)
        else:
            config.train.update(steps=31_000, batch_size=128)
            config.hypers.decay_steps = 31_000.0
        if debug:
            common.shrink(config)
            config.model.update(latent_channels=1, channels=(4, 8)[: len(config.model.channels)])
            config.model.block_channels = (4,)
            config.eval.update(num_importance_samples=10)
    return config


def build(config: ConfigDict, spec: Spec) -> Family:
    """Builds the VAE of `config` for data described by `spec`."""
    needs.axes(config, spec, 'configs/vae.py')
    channels = common.size(config, 'latent_channels')
    map_shape = code_maps.map_shape(config, spec, channels)
    moments_shape = code_maps.map_shape(config, spec, 2 * channels)
    return mlp_vae.assemble(
        config,
        spec,
        evidence_bound(),
        encoder=lambda _: FlatPosterior(code_maps.encoder(config, spec, moments_shape)),
        decoder=lambda shape: FlatDecoder(code_maps.decoder(config, spec, shape), map_shape),
        map_shape=map_shape,
    )
